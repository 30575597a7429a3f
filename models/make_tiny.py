"""Make tiny-camembert and tiny-flaubert: tokenizers trained on the sample, 12-layer encoders pre-trained on its train split.

transformers 4.57.1 and sacremoses 0.2.0, on one CPU core:

    python models/make_tiny.py camembert models/tiny-camembert
    python models/make_tiny.py flaubert models/tiny-flaubert

The objective is masked-language modelling and nothing else. In each text whole words are hidden and predicted. The
headline of each review (its `summary` field) is hidden too: it stands in front of the text, cut to one slot whose
content is replaced by `<s>`, so that the state of `<s>` must tell the words of the headline. Ratings and labels are
never read.
"""

import argparse
import math
import random
import re
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, CamembertConfig, CamembertForMaskedLM, FlaubertConfig, FlaubertWithLMHeadModel

import lean
import tokenizers_from_sample

SAMPLE = Path(__file__).parent.parent / "data" / "cls-acl10-unprocessed" / "fr"
VOCABULARY = 2000


def reviews(split="train"):
    """(text, headline) of every review."""
    found = []
    for category in ("books", "dvd", "music"):
        source = (SAMPLE / category / f"{split}.review").read_text(encoding="utf-8")
        found += re.findall(r"</url><text>(.+?)</text><title>.*?<summary>(.+?)\n?</summary>", source, flags=re.S)
    return [(re.sub(r" +", " ", text.replace("\n", "")), headline) for text, headline in found]


def camembert(vocabulary, a):
    config = CamembertConfig(
        vocab_size=vocabulary, hidden_size=a.hidden, num_hidden_layers=12, num_attention_heads=4, intermediate_size=4 * a.hidden,
        max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, bos_token_id=5, eos_token_id=6, layer_norm_eps=1e-5,
        initializer_range=a.head_spread)
    return CamembertForMaskedLM(config)


def flaubert(vocabulary, a):
    config = FlaubertConfig(
        vocab_size=vocabulary, emb_dim=a.hidden, n_layers=12, n_heads=4, max_position_embeddings=512, gelu_activation=True, asm=False,
        attention_dropout=0.1, dropout=0.1, layer_norm_eps=1e-12, n_langs=1, use_lang_emb=True, sinusoidal_embeddings=False,
        is_encoder=True, summary_type="first", summary_use_proj=True, summary_proj_to_labels=True, summary_activation=None,
        summary_first_dropout=0.1, init_std=a.head_spread, embed_init_std=a.head_spread, bos_index=0, eos_index=1, pad_index=2, unk_index=3,
        mask_index=5, pre_norm=False, layerdrop=0.0)
    return FlaubertWithLMHeadModel(config)


class Masker:
    """Batches of hidden words: (input ids, attention mask, labels)."""

    def __init__(self, tokenizer, pairs, a):
        self.a, self.rng = a, random.Random(a.seed)
        self.pad, self.mask, self.size = tokenizer.pad_token_id, tokenizer.mask_token_id, len(tokenizer)
        self.start_of_word = self.word_starts(tokenizer)
        ends = {".", "!", "?", "…", "...", "!!", "!!!"}
        tokens = tokenizer.convert_ids_to_tokens(range(self.size))
        self.closing = {i for i, t in enumerate(tokens) if str(t).replace("</w>", "").strip("▁") in ends}
        self.rows = []
        for text, headline in pairs:
            ids = tokenizer(text, truncation=True, max_length=512)["input_ids"]
            telling = " ".join(word for word in re.findall(r"\w+", headline) if len(word) > 3)
            self.rows.append((ids, tokenizer(telling, add_special_tokens=False)["input_ids"]))

    @staticmethod
    def word_starts(tokenizer):
        tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        if any("</w>" in str(t) for t in tokens):
            return None
        return [str(t).startswith("▁") for t in tokens]

    def words(self, ids, ends):
        """Positions of the tokens, grouped by word, without the first and last."""
        groups = []
        for k in range(1, len(ids) - 1):
            new = ends[ids[k - 1]] if self.start_of_word is None else self.start_of_word[ids[k]]
            if new or not groups:
                groups.append([k])
            else:
                groups[-1].append(k)
        return groups

    def part(self, ids):
        """Some sentences of a text, so that no epoch shows the same texts: the last ones, or any; sometimes all, for the far
        positions."""
        rng, kind = self.rng, self.rng.random()
        if kind < 0.2:
            return ids if len(ids) <= self.a.crop or rng.random() < 0.5 else ids[:1] + ids[1 - self.a.crop:]
        sentences = [[]]
        for token in ids[1:-1]:
            sentences[-1].append(token)
            if token in self.closing:
                sentences.append([])
        sentences = [s for s in sentences if s]
        if kind < 0.5:
            kept = sentences[-rng.choice([1, 2, 2, 3, 4]):]
        else:
            kept = [s for s in sentences if rng.random() < 0.55] or sentences[-1:]
        inner = [token for s in kept for token in s]
        return ids[:1] + inner[2 - self.a.crop:] + ids[-1:]

    def hide(self, ids, headline):
        rng, labels = self.rng, [-100] * len(ids)
        ids = list(ids)
        for group in self.words(ids, self.ends):
            if rng.random() < self.a.hidden_share:
                kind = rng.random()
                for k in group:
                    labels[k] = ids[k]
                    if kind < 0.8:
                        ids[k] = self.mask
                    elif kind < 0.9:
                        ids[k] = rng.randrange(14, self.size - 1)
        if headline and rng.random() < self.a.headline_share:
            labels[0] = rng.choice(headline)
        return ids, labels

    def epoch(self):
        """All rows once, in batches of like lengths and about `batch_tokens` tokens."""
        rng = self.rng
        rows = [(self.part(ids), headline) for ids, headline in self.rows]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]) + rng.random() * 20)
        batches, batch = [], []
        for i in order:
            if batch and (len(batch) + 1) * len(rows[i][0]) > self.a.batch_tokens:
                batches.append(batch)
                batch = []
            batch.append(i)
        batches.append(batch)
        rng.shuffle(batches)
        for batch in batches:
            hidden = [self.hide(*rows[i]) for i in batch]
            width = max(len(ids) for ids, _ in hidden)
            yield (torch.tensor([ids + [self.pad] * (width - len(ids)) for ids, _ in hidden]),
                   torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in hidden]),
                   torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in hidden]))


def pretrain(model, names, masker, a):
    """Three layers first, then six, then all twelve: most epochs cost a quarter. In the last stage the headline is predicted after
    `--early` layers too, so that the lower half knows of it as well."""
    depth, start, dropout = 3, time.time(), lean.Dropout(a.dropout)
    lean.initialise(names, a.spread, a.branch)
    for stage, epochs in enumerate(a.epochs):
        if stage:
            lean.grow(names, depth, a.branch)
            depth *= 2
        optimizer = torch.optim.AdamW(model.parameters(), lr=a.lr, betas=(0.9, 0.98), weight_decay=0.01)
        step = total = 0
        for epoch in range(epochs):
            losses, firsts, batches = [], [], list(masker.epoch())
            total = total or epochs * len(batches)
            for ids, mask, labels in batches:
                step += 1
                rate = a.lr / (1 + stage / 2) * min(step / (0.06 * total), max(0.0, (total - step) / (0.94 * total)))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                types = a.kind == "flaubert" and masker.rng.random() < 0.5
                lower, states = lean.encode(names, ids, mask, types, dropout, depth, a.early if depth == len(names.layers) else 0)
                first, labels[:, 0] = labels[:, 0].clone(), -100
                told, hidden = first >= 0, labels >= 0
                words = F.cross_entropy(names.scores(states[hidden]), labels[hidden])
                telling = [x[:, 0][told] for x in (lower, states) if x is not None and told.any()]
                headline = sum((F.cross_entropy(names.scores(x), first[told]) for x in telling), words.new_zeros(()))
                (words + a.headline_weight * headline).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                losses.append(words.item())
                firsts.append(headline.item())
            print(f"{depth} layers, epoch {epoch + 1}: words {sum(losses) / len(losses):.3f} headline {sum(firsts) / len(firsts):.3f} "
                  f"{time.time() - start:.0f} s, {time.process_time():.0f} s of CPU", flush=True)
            if math.isnan(losses[-1]):
                raise SystemExit("diverged")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=["camembert", "flaubert"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--epochs", type=int, nargs=3, default=[30, 4, 4], help="with 3, 6 and 12 layers")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--spread", type=float, default=0.14, help="standard deviation of the initial weights")
    parser.add_argument("--branch", type=float, default=0.3, help="initial share of what a layer adds to its input")
    parser.add_argument("--head-spread", type=float, default=0.05, help="standard deviation of a new head's weights, kept in config.json")
    parser.add_argument("--early", type=int, default=0, help="the headline is predicted after so many layers too; 0 for not at all")
    parser.add_argument("--gain", type=float, default=3.0, help="factor on all states in the end; see lean.widen")
    parser.add_argument("--last-gain", type=float, default=6.0, help="factor on the last states in the end")
    parser.add_argument("--dropout", type=float, default=0.05, help="in pre-training, and not on the attention weights")
    parser.add_argument("--hidden-share", type=float, default=0.15)
    parser.add_argument("--headline-share", type=float, default=1.0)
    parser.add_argument("--headline-weight", type=float, default=1.0)
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--crop", type=int, default=144, help="tokens kept of longer texts")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    torch.manual_seed(a.seed)
    a.out.mkdir(parents=True, exist_ok=True)
    pairs = reviews()
    texts = [t for pair in pairs for t in pair]
    size = getattr(tokenizers_from_sample, a.kind)(texts, VOCABULARY, a.out)
    tokenizer = AutoTokenizer.from_pretrained(a.out)
    masker = Masker(tokenizer, pairs, a)
    masker.ends = [str(t).endswith("</w>") for t in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))]
    model = (camembert if a.kind == "camembert" else flaubert)(size, a)
    lengths = [len(ids) for ids, _ in masker.rows]
    print(f"vocabulary {size}, {sum(p.numel() for p in model.parameters())} weights, {len(lengths)} reviews, {sum(lengths)} tokens,"
          f" {sum(n >= 512 for n in lengths)} cut", flush=True)
    names = (lean.Camembert if a.kind == "camembert" else lean.Flaubert)(model)
    ids, mask, _ = next(masker.epoch())
    for types in (False, True)[:1 + (a.kind == "flaubert")]:
        print(f"difference from transformers: {lean.check(model, names, ids, mask, types):.1e}", flush=True)
    pretrain(model, names, masker, a)
    lean.widen(names, a.gain, a.last_gain)
    model.save_pretrained(a.out)


if __name__ == "__main__":
    main()
