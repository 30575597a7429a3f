"""The two tokenizers of the tiny checkpoints, trained on the sample and stored as the published models store theirs."""

import json
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import FlaubertTokenizer

CAMEMBERT_SPECIALS = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>", "<s>", "</s>"]
FLAUBERT_SPECIALS = ["<s>", "</s>", "<pad>", "<unk>"] + [f"<special{i}>" for i in range(10)]


def write_json(path, value, indent=None):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def camembert(texts, size, folder):
    """A unigram `tokenizer.json` with the parts and special ids of camembert-base's."""
    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizers.Sequence([normalizers.Replace(" {2,}", " "), normalizers.Strip(left=False, right=True)])
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    extra = len(CAMEMBERT_SPECIALS) + 1
    trained.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=size - extra + 1, unk_token="<unk>", special_tokens=["<unk>"],
                                                               max_piece_length=16, show_progress=False))
    pieces = [p for p in json.loads(trained.to_str())["model"]["vocab"] if p[0] != "<unk>"]
    vocab = [[s, 0.0] for s in CAMEMBERT_SPECIALS] + pieces + [["<mask>", 0.0]]
    vocab[4][1] = -100.0
    mask = len(vocab) - 1

    def added(i, content):
        return {"id": i, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}

    def special(token):
        return {"SpecialToken": {"id": token, "type_id": 0}}

    a, b = ({"Sequence": {"id": k, "type_id": 0}} for k in "AB")
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    ids = {t: i for i, t in enumerate(s for s, _ in vocab)}
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(0, "<s>NOTUSED"), added(1, "<pad>"), added(2, "</s>NOTUSED"), added(4, "<unk>"), added(5, "<s>"),
                         added(6, "</s>"), added(mask, "<mask>"), added(mask + 1, "<unk>NOTUSED")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Replace", "pattern": {"Regex": "\\s{2,}|[\\n\\r\\t]"}, "content": " "},
            {"type": "Strip", "strip_left": False, "strip_right": True}]},
        "pre_tokenizer": metaspace,
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
    return len(vocab)


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
