//! What torch wrote is read; what is not a dictionary of tensors is refused by name.

use super::super::numbers::Number;
use super::machine::Machine;
use super::value::{Name, Value};
use super::*;

/// Run some instructions as one pickle.
fn run(bytes: &[u8]) -> Result<(Value, Values)> {
    Machine::run(Path::new("m.bin"), "data.pkl", bytes)
}

fn refusal(bytes: &[u8]) -> String {
    run(bytes).unwrap_err().to_string()
}

#[test]
fn plain_values_are_built() {
    let (top, values) =
        run(b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x07X\x01\x00\x00\x00bh\x00u.").unwrap();
    assert_eq!(top, Value::Dict(0));
    assert_eq!(values.texts, ["a", "b"]);
    let want = [
        (Value::Text(0), Value::Int(7)),
        (Value::Text(1), Value::Dict(0)),
    ];
    assert_eq!(values.dicts[0], want, "a circle is no harm");
    assert_eq!(run(b"\x8a\x01\xff.").unwrap().0, Value::Int(-1));
    assert_eq!(run(b"J\xfe\xff\xff\xff.").unwrap().0, Value::Int(-2));
    assert_eq!(
        run(b"ccollections\nOrderedDict\n)R.").unwrap().0,
        Value::Dict(0)
    );
    assert_eq!(
        run(b"ctorch\nHalfStorage\n.").unwrap().0,
        Value::Name(Name::Storage(Number::F16))
    );
}

#[test]
fn names_and_instructions_outside_the_lists_are_refused_by_name() {
    for (bytes, word) in [
        (
            &b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."[..],
            "byte 2 of data.pkl: found the name posix.system",
        ),
        (b"c__builtin__\neval\n.", "__builtin__.eval"),
        (b"ccollections\ndefaultdict\n.", "collections.defaultdict"),
        (
            b"ctorch.storage\n_load_from_bytes\n.",
            "torch.storage._load_from_bytes",
        ),
        (b"(S'ls'\nios\nsystem\n.", "0x53"),
        (b"(ios\nsystem\n.", "0x69 (INST)"),
        (
            b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93.",
            "0x93 (STACK_GLOBAL)",
        ),
        (b"ccollections\nOrderedDict\n)\x81.", "0x81 (NEWOBJ)"),
        (b"\x80\x04.", "protocol 4"),
        (b"ccollections\nOrderedDict\n]\x85R.", "a call of"),
        (b"})R.", "a call of"),
        (b"K\x01}b.", "attributes of something other"),
    ] {
        let message = refusal(bytes);
        assert!(
            message.starts_with("m.bin, byte ") && message.contains(word),
            "{message}"
        );
    }
}

#[test]
fn damaged_pickles_are_refused() {
    for bytes in [
        &b""[..],
        b".",
        b"(.",
        b"\x85.",
        b"(\x85.",
        b"t.",
        b"u.",
        b"a.",
        b"}(K\x01u.",
        b"]K\x01K\x02s.",
        b"h\x00.",
        b"X\xff\xff\xff\xffab",
        b"X\x01\x00\x00\x00\xff.",
        b"\x8a\xff",
        b"cposix",
        b"Q.",
        b"K\x01Q.",
    ] {
        let message = refusal(bytes);
        assert!(message.contains("of data.pkl"), "{message}");
    }
    let endless = [&b"c"[..], &[b'a'; 1000]].concat();
    assert!(refusal(&endless).contains("a name without an end"));
    let huge = b"(".repeat(1 << 26);
    assert!(refusal(&huge).contains("more than"), "a pickle of 64 MB");
}

fn view(offset: usize, shape: &[usize], strides: &[usize]) -> View {
    View {
        storage: 0,
        offset,
        shape: shape.into(),
        strides: strides.into(),
    }
}

#[test]
fn views_stay_within_their_storage() {
    assert_eq!(view(0, &[2, 3], &[3, 1]).elements_within(6), Some(6));
    assert_eq!(view(1, &[2, 3], &[3, 1]).elements_within(6), None);
    assert_eq!(view(0, &[3, 2], &[1, 3]).elements_within(6), Some(6));
    assert_eq!(view(5, &[], &[]).elements_within(6), Some(1));
    assert_eq!(view(6, &[], &[]).elements_within(6), None);
    assert_eq!(view(6, &[0], &[1]).elements_within(6), Some(0));
    assert_eq!(view(7, &[0], &[1]).elements_within(6), None);
    assert_eq!(view(0, &[usize::MAX, 2], &[0, 0]).elements_within(6), None);
    assert_eq!(view(0, &[2], &[usize::MAX]).elements_within(6), None);
    assert!(!view(0, &[0, usize::MAX, 3], &[1, 1, 1]).is_contiguous());
}

#[test]
fn strided_numbers_are_gathered_in_c_order() {
    let numbers: Vec<f32> = (0..6).map(|i| i as f32).collect();
    let transposed = view(0, &[3, 2], &[1, 3]);
    assert!(!transposed.is_contiguous());
    assert_eq!(
        transposed.gather(6, &numbers),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
    assert_eq!(
        view(2, &[2, 2], &[0, 1]).gather(4, &numbers),
        [2.0, 3.0, 2.0, 3.0]
    );
    assert_eq!(view(4, &[], &[]).gather(1, &numbers), [4.0]);
    assert!(view(2, &[1, 3], &[9, 1]).is_contiguous());
}

/// A few bytes of a pickle repeat what it remembers as often as they like.
#[test]
fn long_shapes_and_names_that_could_be_repeated_are_refused() {
    let storage = |key: &[u8]| {
        let length = (key.len() as u32).to_le_bytes();
        let text = [
            b"(X\x07\x00\x00\x00storagectorch\nByteStorage\nX",
            &length[..],
            key,
        ]
        .concat();
        [&text[..], b"X\x03\x00\x00\x00cpuK\x08tQ"].concat()
    };
    assert!(run(&[&storage(&[b'k'; 100])[..], b"."].concat()).is_ok());
    let message = refusal(&storage(&[b'k'; 101]));
    assert!(message.contains("a reference to no storage"), "{message}");
    let tensor = |axes: usize| {
        let sizes = [b"(".as_slice(), &b"K\x01".repeat(axes), b"t"].concat();
        let function = &b"ctorch._utils\n_rebuild_tensor_v2\n("[..];
        [
            function,
            &storage(b"0"),
            b"K\x00",
            &sizes,
            &sizes,
            b"\x89NtR.",
        ]
        .concat()
    };
    let (_, values) = run(&tensor(8)).unwrap();
    assert_eq!(values.tensors[0].shape, [1; 8]);
    assert!(refusal(&tensor(9)).contains("a call of"));
}

/// An archive of plain members: each is a name, and the place and the bytes of what its entry in
/// the directory says.
fn archive(contents: &[(&str, &[u8])], entries: &[(&str, usize)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut starts = Vec::new();
    let head = |content: &[u8], name: &str| {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let size = (content.len() as u32).to_le_bytes();
        let name = (name.len() as u16).to_le_bytes();
        let version_flags_method_time = [20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let sum = crc.sum().to_le_bytes();
        [
            &version_flags_method_time[..],
            &sum,
            &size,
            &size,
            &name,
            &[0, 0],
        ]
        .concat()
    };
    for (name, content) in contents {
        starts.push(bytes.len() as u32);
        bytes.extend(
            [
                b"PK\x03\x04",
                &head(content, name)[..],
                name.as_bytes(),
                content,
            ]
            .concat(),
        );
    }
    let directory = bytes.len() as u32;
    for &(name, content) in entries {
        let (start, head) = (
            starts[content].to_le_bytes(),
            head(contents[content].1, name),
        );
        bytes.extend(
            [
                b"PK\x01\x02\x14\x00",
                &head[..],
                &[0; 10],
                &start,
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let (count, size) = (entries.len() as u16, bytes.len() as u32 - directory);
    bytes.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend([&size.to_le_bytes()[..], &directory.to_le_bytes(), &[0, 0]].concat());
    bytes
}

#[test]
fn members_that_overlap_are_not_read_once_for_each() {
    let mut pickle = b"\x80\x02}(".to_vec();
    for key in ["0", "1"] {
        pickle.extend([b"X\x01\x00\x00\x00", key.as_bytes()].concat());
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage");
        pickle.extend([b"ctorch\nByteStorage\nX\x01\x00\x00\x00", key.as_bytes()].concat());
        pickle.extend(b"X\x03\x00\x00\x00cpuM\x00\x10tQK\x00(K\x01t(K\x01t\x89NtR");
    }
    pickle.extend(b"u.");
    let contents = [
        ("a/data.pkl", &pickle[..]),
        ("a/data/0", &[7; 4096]),
        ("a/data/1", &[8; 4096]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.bin");
    let read_archive = |contents: &[(&str, &[u8])], places: [usize; 3]| {
        let names = ["a/data.pkl", "a/data/0", "a/data/1"];
        let entries: Vec<_> = names.into_iter().zip(places).collect();
        std::fs::write(&path, archive(contents, &entries)).unwrap();
        let mut tensors = BTreeMap::new();
        read(&path, &mut tensors).map(|()| tensors)
    };
    let tensors = read_archive(&contents, [0, 1, 2]).unwrap();
    assert_eq!(tensors["1"].to_vec1::<f32>().unwrap(), [8.0]);
    let error = read_archive(&contents[..2], [0, 1, 1])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("storages of 8192 bytes in a file of"),
        "{error}"
    );
}
