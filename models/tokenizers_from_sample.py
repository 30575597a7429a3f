"""The two tokenizers of the tiny checkpoints, trained on the sample and stored as the published models store theirs.

    python models/tokenizers_from_sample.py models/tiny-camembert     lay a CamemBERT vocabulary that is there out anew
"""

import argparse
import base64
import io
import json
import tempfile
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import FlaubertTokenizer

CAMEMBERT_SPECIALS = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
FLAUBERT_SPECIALS = ["<s>", "</s>", "<pad>", "<unk>"] + [f"<special{i}>" for i in range(10)]
# What becomes of a character: white space of every kind is a space, what has no width is nothing, ligatures are letters.
SPACES = "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200b)))
CHARSMAP = dict.fromkeys(SPACES, " ") | dict.fromkeys("\u00ad\u200b\ufeff", "") | {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl"}


def write_json(path, value, indent=None):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def precompiled(charsmap):
    """A charsmap in SentencePiece's format, taken from a model that was trained for nothing else."""
    model = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        code = lambda text: " ".join(f"{ord(c):X}" for c in text)
        rules.write_text("".join(f"{code(a)}\t{code(b)}\n" for a, b in charsmap.items()))
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["abcdefgh"] * 10), model_writer=model, vocab_size=12, normalization_rule_tsv=str(rules),
            hard_vocab_limit=False, minloglevel=2, num_threads=1)
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()


def camembert(texts, size, folder):
    """A unigram `tokenizer.json` with the parts and special ids of camembert-base's."""
    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizers.Sequence([normalizers.Replace(" {2,}", " "), normalizers.Strip(left=False, right=True)])
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    extra = len(CAMEMBERT_SPECIALS) + 1
    trained.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=size - extra + 1, unk_token="<unk>", special_tokens=["<unk>"],
                                                               max_piece_length=16, show_progress=False))
    pieces = [p for p in json.loads(trained.to_str())["model"]["vocab"] if p[0] != "<unk>"]
    lay_out(pieces, folder)
    return extra + len(pieces)


def lay_out(pieces, folder):
    """The files of CamemBERT's tokenizer as the hub has them: charsmap, WhitespaceSplit, Metaspace. transformers 5 builds these very
    steps anew, and drops any others. A score has twelve digits: readers of JSON that do not round exactly read longer ones an
    ulp off (tokenizers 0.22 does), and then ties come out differently."""
    vocab = [[s, 0.0] for s in CAMEMBERT_SPECIALS] + [[text, float(f"{score:.12g}")] for text, score in pieces] + [["<mask>", 0.0]]
    vocab[4][1] = -100.0
    ids = {t: i for i, (t, _) in enumerate(vocab)}

    def added(content):
        return {"id": ids[content], "content": content, "single_word": False, "lstrip": content == "<mask>", "rstrip": False,
                "normalized": False, "special": True}

    def special(token):
        return {"SpecialToken": {"id": token, "type_id": 0}}

    a, b = ({"Sequence": {"id": k, "type_id": 0}} for k in "AB")
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [added(t) for t in CAMEMBERT_SPECIALS + ["<mask>"]],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": precompiled(CHARSMAP)},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing", "single": [special("<s>"), a, special("</s>")],
            "pair": [special("<s>"), a, special("</s>"), special("</s>"), b, special("</s>")],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("</s>", "<s>")}},
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": False}}, indent=1)
    write_json(folder / "tokenizer_config.json", {
        "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>", "model_max_length": 512, "pad_token": "<pad>",
        "sep_token": "</s>", "tokenizer_class": "CamembertTokenizer", "unk_token": "<unk>"}, indent=2)
    write_json(folder / "special_tokens_map.json", {
        "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>", "pad_token": "<pad>", "sep_token": "</s>",
        "unk_token": "<unk>"}, indent=2)


def moses_words(texts):
    """The words FlauBERT's BPE sees, as transformers' own tokenizer cuts them."""
    with tempfile.TemporaryDirectory() as empty:
        (Path(empty) / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(FLAUBERT_SPECIALS)}))
        (Path(empty) / "merges.txt").write_text("")
        cutter = FlaubertTokenizer(f"{empty}/vocab.json", f"{empty}/merges.txt")
    cutter.bpe = lambda word: word
    for text in texts:
        yield cutter._tokenize(text)


def flaubert(texts, size, folder):
    """`vocab.json` and `merges.txt` with `</w>` at the end of words, and the special ids of flaubert_base_cased's."""
    trained = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    trained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trained.train_from_iterator((" ".join(words) for words in moses_words(texts)), trainers.BpeTrainer(
        vocab_size=size, special_tokens=FLAUBERT_SPECIALS, end_of_word_suffix="</w>", show_progress=False))
    model = json.loads(trained.to_str())["model"]
    vocab = dict(sorted(model["vocab"].items(), key=lambda kv: kv[1]))
    assert [t for t, i in vocab.items() if i < 14] == FLAUBERT_SPECIALS
    write_json(folder / "vocab.json", vocab)
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {
        "additional_special_tokens": FLAUBERT_SPECIALS[4:], "bos_token": "<s>", "cls_token": "</s>", "do_lowercase": False,
        "id2lang": None, "lang2id": None, "mask_token": "<special1>", "model_max_length": 512, "pad_token": "<pad>", "sep_token": "</s>",
        "tokenizer_class": "FlaubertTokenizer", "unk_token": "<unk>"}, indent=2)
    return len(vocab)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    vocab = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    lay_out(vocab[len(CAMEMBERT_SPECIALS):-1], folder)


if __name__ == "__main__":
    main()
