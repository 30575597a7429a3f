"""Rows per second and peak memory of fine-tuning: PyTorch and this engine in turn, on the same weights, rows and number of threads.

    cargo build --release
    python benches/training_peers.py --data DATASETS --checkpoint FOLDER [--steps 12] [--rounds 3] [--threads 2]
    python benches/training_peers.py --data DATASETS --checkpoint FOLDER --rows 1000,5000,20000

DATASETS is a folder of flue-cls-prepare, FOLDER a checkpoint with random or true weights. The first times three ways, each in a
process of its own, over the same first `8 * steps` rows of `train`, batch 8. The steps are dealt to rounds, and in each round the
ways follow each other, so that a machine that is busy for a minute slows all of them. A process begins with a step that is not
counted (it touches the memory of the optimizer for the first time).

  ours     flue-cls-finetune
  best     PyTorch at its best on a CPU: dynamic padding, rows grouped by length, fused AdamW, SDPA attention where the class has one
  padded   what the original does: every review padded to the length of the folder, with Trainer's update

Prints medians over steps, ratios, peak memory, and where the time of our steps goes, kernel by kernel.

The second repeats the rows of `train` to so many, fine-tunes on them, and prints the time per token and the peak memory, neither of
which may grow: a tiny checkpoint shows it in minutes.
Versions it was written for: torch 2.15.0, transformers 4.57.1, datasets 5.0.1.
"""
import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "target", "release", "flue-cls-finetune")
PRODUCTS = ("linear_no_bias", "linear_backward", "weight_backward")


def torch_way(a):
    """One of the two PyTorch ways; prints a JSON line. Runs in a process of its own."""
    import torch
    from datasets import load_from_disk
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(a.threads)
    rows = load_from_disk(a.data)["train"].select(range(8 * a.steps))
    fast = a.way == "best"
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
    for step in [a.span[0], *range(*a.span)]:
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


def finetune(a, data, *options):
    """A run of flue-cls-finetune over all rows of `data`: the log's entry of every step, and the peak memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["/usr/bin/time", "-f", "peak %M", PROGRAM, "-v", "--offline", "-d", data, "-a", "all", "-b", "1", "-c", a.checkpoint,
                   "-s", os.path.join(folder, "out"), "--data-order", "sequential", "--threads", str(a.threads), *options]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    log = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
    steps = [json.loads(m) for m in re.findall(r'\{"step":.*\}', log)]
    return steps, int(re.search(r"peak (\d+)", log)[1]) / 1024


def our_way(a):
    """flue-cls-finetune over the same rows, the first eight twice; prints a JSON line."""
    import numpy as np
    from datasets import DatasetDict, load_from_disk

    with tempfile.TemporaryDirectory() as folder:
        data = load_from_disk(a.data)
        first, end = 8 * a.span[0], 8 * a.span[1]
        wanted = np.array([*range(first, first + 8), *range(first, end)])
        # flue-cls-finetune takes the rows in this order, as `datasets.shuffle(seed=42)` does: laid out so that it is the wanted one.
        rows = np.empty_like(wanted)
        rows[np.random.default_rng(42).permutation(len(wanted))] = wanted
        train = data["train"].select(rows)
        cut = DatasetDict({"train": train, "test": data["test"].select(range(1))})
        cut.save_to_disk(folder)
        steps, peak = finetune(a, folder, "--logging-steps", "1")
    print(json.dumps({"seconds": [s["seconds"] for s in steps[1:]], "peak_mib": peak}))


def kernels(a):
    """The seconds of each kernel over the same steps, in the terms of a reader."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(a.threads), "FLUE_DATA": os.path.abspath(a.data), "FLUE_STEPS": str(a.steps),
                   "FLUE_CHECKPOINT": os.path.abspath(a.checkpoint)}
    command = ["cargo", "bench", "--quiet", "--bench", "training"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=os.path.join(HERE, ".."))
    if done.returncode:
        sys.exit(done.stderr)
    found = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    spent, total = found["kernels"], found["seconds"]
    products = sum(spent.pop(name) for name in PRODUCTS)
    print(f"\nof {total:.1f} s of steps:\n{products / total:7.1%}  matrix products of the linear layers, forward and backward")
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{seconds / total:7.1%}  {name}")
    print(f"{1 - (products + sum(spent.values())) / total:7.1%}  between kernels: rows, memory, sums of gradients")


def series(a):
    """Time per token and peak memory over ever more rows."""
    from datasets import DatasetDict, disable_progress_bars, load_from_disk

    disable_progress_bars()
    data = load_from_disk(a.data)
    print(f"{'rows':>7}{'tokens':>10}{'us/token':>10}{'peak, MiB':>11}")
    for rows in a.rows:
        with tempfile.TemporaryDirectory() as folder:
            train = data["train"].select([row % len(data["train"]) for row in range(rows)])
            DatasetDict({"train": train, "test": data["test"].select(range(1))}).save_to_disk(folder)
            steps, peak = finetune(a, folder)
        tokens = sum(s["tokens"] for s in steps)
        print(f"{rows:>7}{tokens:>10}{1e6 * sum(s['seconds'] for s in steps) / tokens:>10.1f}{peak:>11.0f}", flush=True)


def one_way(a, way, span):
    """A way over the steps of a round, in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--span", *map(str, span), "--data", a.data, "--checkpoint", a.checkpoint, "--steps",
               str(a.steps), "--threads", str(a.threads)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": str(a.threads)})
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(a):
    ways = ("ours", "best", "padded")
    results = {way: {"seconds": [], "peak_mib": 0} for way in ways}
    edges = [a.steps * number // a.rounds for number in range(a.rounds + 1)]
    for span in zip(edges, edges[1:]):
        for way in ways:
            found = one_way(a, way, span)
            results[way]["seconds"] += found["seconds"]
            results[way]["peak_mib"] = max(results[way]["peak_mib"], found["peak_mib"])
            print(f"steps {span[0]} to {span[1] - 1} {way:7}" + "".join(f"{s:7.2f}" for s in found["seconds"]), flush=True)
    for way, r in results.items():
        print(f"{way:7} {8 * len(r['seconds']) / sum(r['seconds']):7.3f} rows/s  median {statistics.median(r['seconds']):.2f} s/step  "
              f"peak {r['peak_mib']:.0f} MiB")
    rate = {way: len(r["seconds"]) / sum(r["seconds"]) for way, r in results.items()}
    print(f"ours is {rate['ours'] / rate['padded']:.2f} x padded and {rate['ours'] / rate['best']:.2f} x PyTorch's best; "
          f"memory {results['ours']['peak_mib'] / results['best']['peak_mib']:.2f} x PyTorch's best")
    kernels(a)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--steps", type=int, default=12)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rows", type=lambda words: [int(n) for n in words.split(",")], help="time per token and memory on so many rows instead")
    p.add_argument("--way", help=argparse.SUPPRESS)
    p.add_argument("--span", type=int, nargs=2, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.way:
        return our_way(a) if a.way == "ours" else torch_way(a)
    series(a) if a.rows else compare(a)


if __name__ == "__main__":
    main()
