"""Write seeds/: for each reader a few small valid files, from the fixtures.

Run from this folder with torch 2.15 and pyarrow (those of the fixtures): python make_seeds.py
Parts of one input stand with a zero byte between them, as readers.rs takes them apart.
"""

import gzip
import io
import json
import pathlib
import shutil
import tarfile

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import torch

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
MODELS = FIXTURES / "models"
PREPARE = FIXTURES / "prepare"
TOKENS = FIXTURES / "tokenization"
TEXT = "L’été, « un » <special1> œuvre n'est pas <mask> là... </s> 3,5 %".encode()


def write(reader: str, name: str, data: bytes) -> None:
    folder = HERE / "seeds" / reader
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def copy(reader: str, name: str, path: pathlib.Path) -> None:
    write(reader, name, path.read_bytes())


def pickles() -> None:
    path = MODELS / "roberta-relu-bin/pytorch_model.bin"
    copy("pickle", "zip.bin", path)
    state = torch.load(path, weights_only=True)
    out = io.BytesIO()
    torch.save(state, out, _use_new_zipfile_serialization=False)
    write("pickle", "legacy.bin", out.getvalue())


def models() -> None:
    copy("safetensors", "camembert.safetensors", MODELS / "camembert/model.safetensors")
    copy("config", "camembert.json", MODELS / "camembert/config.json")
    copy("config", "flaubert.json", MODELS / "flaubert/config.json")
    index = MODELS / "flaubert-pre-norm-sharded/model.safetensors.index.json"
    copy("shard_index", "index.json", index)


def datasets() -> None:
    for name in ["datasets-5.0.1/test", "odd/large", "odd/unmasked"]:
        path = PREPARE / name / "data-00000-of-00001.arrow"
        copy("arrow", name.replace("/", "-") + ".arrow", path)
    out = io.BytesIO()
    indices = pa.table({"indices": pa.array([1, 0], pa.uint64())})
    with pa.ipc.new_stream(out, indices.schema) as writer:
        writer.write_table(indices)
    write("arrow", "indices.arrow", out.getvalue())
    split = PREPARE / "datasets-5.0.1/test"
    info = (split / "dataset_info.json").read_bytes()
    state = json.loads((split / "state.json").read_text())
    parts = [b'{"splits": ["train"]}', json.dumps(state).encode(), info]
    write("dataset_folder", "plain", b"\0".join(parts))
    state["_indices_data_files"] = [{"filename": "indices.arrow"}]
    parts[1] = json.dumps(state).encode()
    write("dataset_folder", "indices", b"\0".join(parts))


def parquets() -> None:
    texts = ["Un bon livre.", "", "Décevant !"]
    plain = pa.table({"text": texts, "label": pa.array([1, 0, 0])})
    ids = [[5, 7, 6], [5, 6], [5, 8, 9, 6]]
    tokens = plain.append_column("input_ids", pa.array(ids, pa.list_(pa.int32())))
    for name, table, compression in [
        ("plain", plain, "none"),
        ("snappy", plain, "snappy"),
        ("tokens", tokens, "zstd"),
    ]:
        out = io.BytesIO()
        pq.write_table(table, out, compression=compression)
        write("parquet", name + ".parquet", out.getvalue())
    for name, table, version, encoding in [
        ("lengths", plain, "1.0", "DELTA_LENGTH_BYTE_ARRAY"),
        ("prefixes", tokens, "2.0", "DELTA_BYTE_ARRAY"),
    ]:
        out = io.BytesIO()
        encodings = {"text": encoding, "label": "DELTA_BINARY_PACKED"}
        pq.write_table(
            table, out, data_page_version=version, use_dictionary=False, column_encoding=encodings, compression="none"
        )
        write("parquet", name + ".parquet", out.getvalue())


def tokenizers() -> None:
    folder = TOKENS / "flaubert"
    names = ["vocab.json", "merges.txt", "tokenizer_config.json"]
    parts = [(folder / name).read_bytes() for name in names]
    write("flaubert", "published", b"\0".join([*parts, TEXT]))
    parts[2] = (TOKENS / "flaubert_added_config.json").read_bytes()
    write("flaubert", "added", b"\0".join([*parts, TEXT]))
    small = [b'{"<unk>": 0, "a": 1, "a</w>": 2, "aa</w>": 3}', b"a a</w>\n", b"{}", b"aa a <s>"]
    write("flaubert", "small", b"\0".join(small))
    copy("sentencepiece", "camembert.model", TOKENS / "camembert/sentencepiece.bpe.model")
    folder = TOKENS / "roberta"
    names = ["tokenizer.json", "tokenizer_config.json"]
    parts = [(folder / name).read_bytes() for name in names]
    write("tokenizer_json", "roberta", b"\0".join([*parts, TEXT]))
    tiny = json.loads((HERE.parent.parent / "models/tiny-camembert/tokenizer.json").read_text())
    tiny["model"]["vocab"] = tiny["model"]["vocab"][:60]
    tiny["added_tokens"] = [t for t in tiny["added_tokens"] if t["id"] < 60]
    compact = json.dumps(tiny, ensure_ascii=False, separators=(",", ":")).encode()
    write("tokenizer_json", "unigram", b"\0".join([compact, b"{}", TEXT]))


def corpora() -> None:
    copy("review", "dvd.review", PREPARE / "webis/fr/dvd/test.review")
    write("table", "csv", 'ctext,label,idx\n"Un, deux",1,4\nbof,neg,5\n'.encode())
    write("table", "tsv", "ttext\tlabel\nbien\tpositive\n".encode())
    write("table", "jsonl", b'j{"text": "bien", "label": 1}\n\n{"text": "", "label": "neg", "idx": 2}\n')
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for category in ["books", "dvd", "music"]:
            for split in ["train", "test"]:
                text = b"<?xml?>\n<item><rating>5.0</rating><url>u</url><text>x</text><title></item>\n"
                member = tarfile.TarInfo(f"cls-acl10-unprocessed/fr/{category}/{split}.review")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
    write("archive", "cls.tar", out.getvalue())
    write("archive", "cls.tar.gz", gzip.compress(out.getvalue(), mtime=0))


def main() -> None:
    shutil.rmtree(HERE / "seeds", ignore_errors=True)
    pickles()
    models()
    datasets()
    parquets()
    tokenizers()
    corpora()
    copy("npy", "arrays.npy", FIXTURES / "study/arrays.npy")


main()
