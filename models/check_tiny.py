"""Fine-tune a checkpoint for one epoch with Trainer's defaults on the whole sample, and print its accuracy on the test split.

    python models/check_tiny.py models/tiny-camembert --seeds 1 2 3
"""

import argparse
import re
import sys
import tempfile

sys.dont_write_bytecode = True
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments, set_seed

from make_tiny import SAMPLE


def rows(split, tokenizer, types):
    """The encoded reviews, as the CLS reader takes them from the files."""
    found = []
    for category in ("books", "dvd", "music"):
        source = (SAMPLE / category / f"{split}.review").read_text(encoding="utf-8")
        for rating, text in re.findall(r"<rating>(.+?)</rating>.*?</url><text>(.+?)</text><title>", source, flags=re.S):
            row = dict(tokenizer(re.sub(r" +", " ", text.replace("\n", "")), truncation=True, max_length=512))
            if not types:
                row.pop("token_type_ids", None)
            found.append(row | {"label": int(float(rating) > 3)})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--no-token-type-ids", action="store_true", help="FlauBERT without the embedding that Trainer has it add")
    parser.add_argument("--num-train", type=int, help="only so many reviews")
    a = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(a.checkpoint)
    train, test = (rows(split, tokenizer, not a.no_token_type_ids) for split in ("train", "test"))
    for seed in a.seeds:
        set_seed(seed)
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).tolist()
        model = AutoModelForSequenceClassification.from_pretrained(a.checkpoint, num_labels=2)
        with tempfile.TemporaryDirectory() as folder:
            args = TrainingArguments(folder, num_train_epochs=1, seed=seed, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
                                     logging_steps=30)
            trainer = Trainer(model, args, train_dataset=[train[i] for i in order[:a.num_train]], eval_dataset=test,
                              data_collator=DataCollatorWithPadding(tokenizer),
                              compute_metrics=lambda p: {"accuracy": float((p[0].argmax(-1) == p[1]).mean())})
            trainer.train()
            losses = [round(entry["loss"], 3) for entry in trainer.state.log_history if "loss" in entry]
            print(f"seed {seed}: losses {losses}, accuracy {trainer.evaluate()['eval_accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    main()
