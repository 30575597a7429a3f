//! What is written is read back, in every type of number, and what is wrong is named.

use safetensors::tensor::{Dtype, TensorView};

use super::*;
use crate::models::checkpoint::save_classifier;
use crate::models::weights::Weights;

/// The bits are those of IEEE 754 and of bfloat16, which is the upper half of an f32.
#[test]
fn halves_are_read_by_their_bits() {
    let values = [1.0, -2.0, 0.333_251_95, 65504.0, 5.960_464_5e-8, 0.0];
    let f16: [u16; 6] = [0x3C00, 0xC000, 0x3555, 0x7BFF, 0x0001, 0x8000];
    let bf16 = values.map(|v: f32| (v.to_bits() >> 16) as u16);
    let truncated = bf16.map(|b| f32::from_bits(u32::from(b) << 16));
    for (dtype, bits, want) in [(Dtype::F16, f16, values), (Dtype::BF16, bf16, truncated)] {
        let d = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = bits.iter().flat_map(|b| b.to_le_bytes()).collect();
        let view = TensorView::new(dtype, vec![2, 3], &bytes).unwrap();
        let file = d.path().join("model.safetensors");
        safetensors::serialize_to_file([("x", view)], None, &file).unwrap();
        let tensor = Weights::read(d.path()).unwrap().take("x", &[2, 3]);
        let got = tensor.unwrap().unwrap().flatten_all().unwrap();
        assert_eq!(got.to_vec1::<f32>().unwrap(), want, "{dtype:?}");
    }
}

#[test]
fn what_is_saved_is_read_back_and_a_new_head_is_reported() {
    for name in CASES {
        let case = Case::load(name);
        let d = tempfile::tempdir().unwrap();
        save_classifier(case.model.as_ref(), d.path()).unwrap();
        let (again, report) =
            load_classifier(d.path(), Config::read(d.path()).unwrap(), &Device::Cpu, 1).unwrap();
        assert!(
            report.initialised.is_empty() && report.unused.is_empty(),
            "{report:?}"
        );
        let (a, b) = (
            case.model.logits(&case.batch.input(false)),
            again.logits(&case.batch.input(false)),
        );
        close(name, &a.unwrap(), &b.unwrap(), 0.0);
        // The same weights without their head.
        let path = d.path().join("model.safetensors");
        let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        tensors.retain(|k, _| !k.starts_with("classifier") && !k.starts_with("sequence_summary"));
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let (_, report) =
            load_classifier(d.path(), Config::read(d.path()).unwrap(), &Device::Cpu, 1).unwrap();
        assert_eq!(
            report.initialised.len(),
            if name.starts_with("flaubert") { 2 } else { 4 }
        );
        load_encoder(d.path(), &Device::Cpu).unwrap();
    }
}

#[test]
fn a_wrong_checkpoint_is_named() {
    let d = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture("camembert").join(file), d.path().join(file)).unwrap();
    }
    let path = d.path().join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let message = || {
        load_encoder(d.path(), &Device::Cpu)
            .err()
            .unwrap()
            .to_string()
    };

    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(
        message().contains("model.safetensors") && message().contains("complete"),
        "{}",
        message()
    );

    let tensors = candle_core::safetensors::load(
        fixture("camembert").join("model.safetensors"),
        &Device::Cpu,
    )
    .unwrap();
    let key = "roberta.encoder.layer.1.output.dense.weight";
    let mut fewer = tensors.clone();
    fewer.remove(key);
    candle_core::safetensors::save(&fewer, &path).unwrap();
    assert!(
        message().contains(key) && message().contains("no such tensor"),
        "{}",
        message()
    );

    let mut other = tensors.clone();
    other.insert(
        key.into(),
        Tensor::zeros((3, 3), DType::F32, &Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&other, &path).unwrap();
    assert!(
        message().contains(key) && message().contains("[3, 3]"),
        "{}",
        message()
    );

    let mut broken = tensors.clone();
    for (number, name) in [(f32::NAN, "NaN"), (f32::NEG_INFINITY, "-inf")] {
        let shape = tensors[key].dims();
        let mut values = vec![0.25; shape.iter().product()];
        values[shape[1] + 2] = number;
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        broken.insert(key.into(), tensor);
        candle_core::safetensors::save(&broken, &path).unwrap();
        let words = format!("number [1, 2]: found {name}, expected finite numbers");
        assert!(
            message().contains(key) && message().contains(&words),
            "{}",
            message()
        );
    }
    // What the encoder has no use for may hold anything.
    let mut unused = tensors.clone();
    let nan = Tensor::new(&[f32::NAN], &Device::Cpu).unwrap();
    unused.insert("lm_head.x".into(), nan);
    candle_core::safetensors::save(&unused, &path).unwrap();
    load_encoder(d.path(), &Device::Cpu).unwrap();

    let mut more = tensors;
    more.insert(
        "roberta.encoder.layer.9.x".into(),
        Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&more, &path).unwrap();
    assert!(message().contains("layer.9.x"), "{}", message());

    std::fs::remove_file(&path).unwrap();
    assert!(
        message().contains("weights in") && message().contains("pytorch_model.bin"),
        "{}",
        message()
    );

    let config = d.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"camembert\"", "\"bert\"")).unwrap();
    assert!(
        message().contains("model_type") && message().contains("flaubert"),
        "{}",
        message()
    );
}

#[test]
fn a_checkpoint_that_shrinks_while_it_is_read_ends_in_a_message() {
    use std::sync::atomic::{AtomicBool, Ordering};
    for (name, file) in [
        ("camembert", "model.safetensors"),
        ("roberta-relu-bin", "pytorch_model.bin"),
    ] {
        let d = tempfile::tempdir().unwrap();
        let path = d.path().join(file);
        let whole = std::fs::read(fixture(name).join(file)).unwrap();
        std::fs::write(&path, &whole).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                for length in (0..whole.len() as u64).step_by(7).cycle() {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    writer.set_len(length).unwrap();
                }
            });
            for _ in 0..300 {
                if let Err(e) = Weights::read(d.path()) {
                    assert!(e.to_string().contains(file), "{e}");
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        std::fs::write(&path, &whole).unwrap();
        Weights::read(d.path()).unwrap();
    }
}

/// A tensor that stands in two shards is that of the shard which the index names, whatever the
/// order of the files.
#[test]
fn the_index_says_which_shard_a_tensor_is_of() {
    let d = tempfile::tempdir().unwrap();
    let path = |name: &str| d.path().join(name);
    std::fs::copy(
        fixture("camembert").join("config.json"),
        path("config.json"),
    )
    .unwrap();
    let tensors = candle_core::safetensors::load(
        fixture("camembert").join("model.safetensors"),
        &Device::Cpu,
    )
    .unwrap();
    let key = "roberta.embeddings.LayerNorm.bias";
    let old = [(key.to_owned(), tensors[key].affine(1.0, 7.0).unwrap())];
    let (new, stale) = ("1.safetensors", "2.safetensors");
    candle_core::safetensors::save(&tensors, path(new)).unwrap();
    let index = |listed: bool| {
        let mut map: std::collections::BTreeMap<_, _> =
            tensors.keys().map(|name| (name.clone(), new)).collect();
        // the second shard is named for another tensor
        map.insert("roberta.embeddings.position_ids".to_owned(), stale);
        if !listed {
            map.remove(key);
        }
        let json = serde_json::json!({ "weight_map": map });
        std::fs::write(path("model.safetensors.index.json"), json.to_string()).unwrap();
    };
    let positions = Tensor::zeros(3, DType::F32, &Device::Cpu).unwrap();
    let mut second = std::collections::HashMap::from(old);
    second.insert("roberta.embeddings.position_ids".to_owned(), positions);
    candle_core::safetensors::save(&second, path(stale)).unwrap();
    index(true);
    let config = Config::read(d.path()).unwrap();
    let (model, _) = load_classifier(d.path(), config, &Device::Cpu, 1).unwrap();
    let found = model.parameters().named_tensors().unwrap();
    let (_, found) = found.into_iter().find(|(name, _)| name == key).unwrap();
    assert_eq!(
        found.to_vec1::<f32>().unwrap(),
        tensors[key].to_vec1::<f32>().unwrap()
    );
    index(false);
    let message = load_encoder(d.path(), &Device::Cpu).err().unwrap();
    let message = message.to_string();
    assert!(
        message.contains(key) && message.contains("two shards"),
        "{message}"
    );
}

/// Layer norms were once called `gamma` and `beta`: a file that has both names has two tensors for
/// one place.
#[test]
fn two_tensors_for_one_place_are_refused() {
    let d = tempfile::tempdir().unwrap();
    let from = fixture("camembert");
    std::fs::copy(from.join("config.json"), d.path().join("config.json")).unwrap();
    let path = d.path().join("model.safetensors");
    let load = || candle_core::safetensors::load(from.join("model.safetensors"), &Device::Cpu);
    let mut tensors = load().unwrap();
    let norm = "roberta.embeddings.LayerNorm";
    let weight = tensors[&format!("{norm}.weight")].clone();
    tensors.insert(format!("{norm}.gamma"), weight);
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let message = load_encoder(d.path(), &Device::Cpu).err().unwrap();
    let message = message.to_string();
    assert!(message.contains(&format!("{norm}.weight")), "{message}");
}
