"""Rows per second of fine-tuning: PyTorch and this engine in turn, on the same weights, rows and number of threads.

    cargo build --release
    python benches/training_peers.py --data DATASETS --checkpoint FOLDER [--steps 12] [--threads 2]

DATASETS is a folder of flue-cls-prepare, FOLDER a checkpoint with random or true weights. Three ways are timed, one after
the other, each in a process of its own, each over the same first `8 * steps` rows of `train`, batch 8, after a step that is
not counted (it touches the memory of the optimizer for the first time):

  padded   what the original does: Trainer, every review padded to 512 tokens
  best     PyTorch at its best on a CPU: dynamic padding, rows grouped by length, fused AdamW, SDPA attention
  ours     flue-cls-finetune

Prints medians over steps, ratios, peak memory, and the share of matrix products in our step where `perf` is installed.
Versions it was written for: torch 2.15.0, transformers 4.57.1, datasets 5.0.1.
"""
import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def torch_way(a):
    """One of the two PyTorch ways; prints a JSON line. Runs in a process of its own."""
    import torch
    from datasets import load_from_disk
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(a.threads)
    rows = load_from_disk(a.data)["train"].select(range(8 * a.steps))
    fast = a.way == "best"
    kw = {}
    if fast:
        try:
            model = AutoModelForSequenceClassification.from_pretrained(a.checkpoint, attn_implementation="sdpa")
        except ValueError:  # FlauBERT has the eager attention only
            model = AutoModelForSequenceClassification.from_pretrained(a.checkpoint)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(a.checkpoint)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.0, fused=True)
    ids = torch.tensor(rows["input_ids"][:])
    mask = torch.tensor(rows["attention_mask"][:])
    labels = torch.tensor(rows["label"][:])
    types = torch.tensor(rows["token_type_ids"][:]) if "token_type_ids" in rows.column_names else None
    order = mask.sum(1).argsort(descending=True) if fast else torch.arange(len(ids))
    seconds = []
    for step in [0, *range(a.steps)]:
        pick = order[8 * step:8 * step + 8]
        width = int(mask[pick].sum(1).max()) if fast else ids.shape[1]
        batch = {"input_ids": ids[pick, :width], "attention_mask": mask[pick, :width], "labels": labels[pick]}
        if types is not None:
            batch["token_type_ids"] = types[pick, :width]
        begin = time.time()
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.time() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds[1:], "peak_mib": peak}))


def our_way(a):
    """flue-cls-finetune over the same rows; seconds per step from its log."""
    program = os.path.join(HERE, "..", "target", "release", "flue-cls-finetune")
    folder = tempfile.mkdtemp()
    try:
        # The subset of `-a N` is a permutation of the whole split: a split of just these rows keeps the rows the same.
        from datasets import DatasetDict, load_from_disk

        data = load_from_disk(a.data)
        cut = DatasetDict({"train": data["train"].select([*range(8), *range(8 * a.steps)]), "test": data["test"].select(range(1))})
        cut.save_to_disk(os.path.join(folder, "data"))
        command = [program, "-v", "-d", os.path.join(folder, "data"), "-a", "all", "-b", "all", "-c", a.checkpoint, "-s",
                   os.path.join(folder, "out"), "--logging-steps", "1", "--data-order", "sequential", "--threads", str(a.threads)]
        environment = {**os.environ, "RAYON_NUM_THREADS": str(a.threads)}
        share = None
        if shutil.which("perf"):
            record = os.path.join(folder, "perf")
            command = ["perf", "record", "-q", "-F", "99", "-o", record] + command
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(done.stderr)
        if shutil.which("perf"):
            report = subprocess.run(["perf", "report", "-i", record, "--stdio", "--sort", "symbol"], capture_output=True, text=True).stdout
            share = sum(float(m[1]) for m in re.finditer(r"^\s*([\d.]+)%.*gemm", report, re.M))
        seconds = [float(m[1]) for m in re.finditer(r'"seconds":([\d.]+)', re.sub(r"\x1b\[[0-9;]*m", "", done.stderr))]
    finally:
        shutil.rmtree(folder)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds[1:], "peak_mib": peak, "matrix_products_percent": share}))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--steps", type=int, default=12)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--way", choices=["padded", "best", "ours"], help="time only this one, in this process")
    a = p.parse_args()
    if a.way:
        return our_way(a) if a.way == "ours" else torch_way(a)
    results = {}
    for way in ("ours", "best", "padded"):
        command = [sys.executable, __file__, "--way", way, "--data", a.data, "--checkpoint", a.checkpoint, "--steps",
                   str(a.steps), "--threads", str(a.threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(a.threads)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(done.stderr)
        results[way] = json.loads(done.stdout.strip().splitlines()[-1])
        r = results[way]
        total = sum(r["seconds"])
        print(f"{way:7} {8 * len(r['seconds']) / total:7.3f} rows/s  median {statistics.median(r['seconds']):.2f} s/step  "
              f"peak {r['peak_mib']:.0f} MiB", flush=True)
    rate = {way: len(r["seconds"]) / sum(r["seconds"]) for way, r in results.items()}
    print(f"ours is {rate['ours'] / rate['padded']:.2f} x padded and {rate['ours'] / rate['best']:.2f} x PyTorch's best; "
          f"memory {results['ours']['peak_mib'] / results['best']['peak_mib']:.2f} x PyTorch's best")
    if results["ours"]["matrix_products_percent"] is not None:
        print(f"matrix products: {results['ours']['matrix_products_percent']:.0f} % of our samples")


if __name__ == "__main__":
    main()
