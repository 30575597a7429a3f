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
from transformers import AutoTokenizer, CamembertConfig, CamembertForMaskedLM, FlaubertConfig, FlaubertWithLMHeadModel

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
        initializer_range=a.spread)
    return CamembertForMaskedLM(config)


def flaubert(vocabulary, a):
    config = FlaubertConfig(
        vocab_size=vocabulary, emb_dim=a.hidden, n_layers=12, n_heads=4, max_position_embeddings=512, gelu_activation=True, asm=False,
        attention_dropout=0.1, dropout=0.1, layer_norm_eps=1e-12, n_langs=1, use_lang_emb=True, sinusoidal_embeddings=False,
        is_encoder=True, summary_type="first", summary_use_proj=True, summary_proj_to_labels=True, summary_activation=None,
        summary_first_dropout=0.1, init_std=a.spread, embed_init_std=a.spread, bos_index=0, eos_index=1, pad_index=2, unk_index=3,
        mask_index=5, pre_norm=False, layerdrop=0.0)
    return FlaubertWithLMHeadModel(config)


class Masker:
    """Batches of hidden words: (input ids, attention mask, labels)."""

    def __init__(self, tokenizer, pairs, a):
        self.a, self.rng = a, random.Random(a.seed)
        self.pad, self.mask, self.size = tokenizer.pad_token_id, tokenizer.mask_token_id, len(tokenizer)
        self.start_of_word = self.word_starts(tokenizer)
        self.rows = []
        for text, headline in pairs:
            ids = tokenizer(text, truncation=True, max_length=512)["input_ids"]
            self.rows.append((ids, tokenizer(headline, add_special_tokens=False)["input_ids"]))

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

    def hide(self, ids, headline):
        rng, labels, ids = self.rng, [-100] * len(ids), list(ids)
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
        order = sorted(range(len(self.rows)), key=lambda i: len(self.rows[i][0]) + rng.random() * 20)
        batches, batch = [], []
        for i in order:
            if batch and (len(batch) + 1) * len(self.rows[i][0]) > self.a.batch_tokens:
                batches.append(batch)
                batch = []
            batch.append(i)
        batches.append(batch)
        rng.shuffle(batches)
        for batch in batches:
            hidden = [self.hide(*self.rows[i]) for i in batch]
            width = max(len(ids) for ids, _ in hidden)
            yield (torch.tensor([ids + [self.pad] * (width - len(ids)) for ids, _ in hidden]),
                   torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in hidden]),
                   torch.tensor([labels + [-100] * (width - len(labels)) for _, labels in hidden]))


def pretrain(model, masker, a, types):
    optimizer = torch.optim.AdamW(model.parameters(), lr=a.lr, betas=(0.9, 0.98), weight_decay=0.01)
    total, step, start = None, 0, time.time()
    model.train()
    for epoch in range(a.epochs):
        losses, firsts = [], []
        batches = list(masker.epoch())
        total = total or a.epochs * len(batches)
        for ids, mask, labels in batches:
            step += 1
            rate = a.lr * min(step / (0.06 * total), max(0.0, (total - step) / (0.94 * total)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            extra = {"token_type_ids": torch.zeros_like(ids)} if types and masker.rng.random() < 0.5 else {}
            logits = model(input_ids=ids, attention_mask=mask, **extra).logits
            inner = torch.nn.functional.cross_entropy(logits[:, 1:].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
            first = torch.nn.functional.cross_entropy(logits[:, 0], labels[:, 0], ignore_index=-100)
            first = torch.nan_to_num(first)
            loss = inner + a.headline_weight * first
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(inner.item())
            firsts.append(first.item())
        print(f"epoch {epoch + 1}: words {sum(losses) / len(losses):.3f} headline {sum(firsts) / len(firsts):.3f} "
              f"{time.time() - start:.0f} s", flush=True)
        if math.isnan(losses[-1]):
            raise SystemExit("diverged")
        if a.save_every and (epoch + 1) % a.save_every == 0:
            model.save_pretrained(a.out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=["camembert", "flaubert"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--spread", type=float, default=0.1, help="standard deviation of the initial weights")
    parser.add_argument("--scale", type=float, default=1.0, help="initial gain of the last layer norm")
    parser.add_argument("--hidden-share", type=float, default=0.15)
    parser.add_argument("--headline-share", type=float, default=1.0)
    parser.add_argument("--headline-weight", type=float, default=0.3)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save-every", type=int, default=0)
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
    pretrain(model, masker, a, a.kind == "flaubert")
    model.save_pretrained(a.out)


if __name__ == "__main__":
    main()
