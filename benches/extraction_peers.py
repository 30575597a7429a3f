"""Rows per second and peak memory of the [CLS] states: PyTorch, ONNX Runtime, candle-transformers and data-cls in turn, on the same
weights, rows and number of threads.

    cargo build --release
    python benches/extraction_peers.py --data DATASETS --checkpoint FOLDER [--limit 100] [--rounds 3] [--threads 2] [--json FILE]
    python benches/extraction_peers.py --data DATASETS --checkpoint FOLDER --memory 1000,5000,20000

DATASETS is a folder of flue-cls-prepare padded to the model's length, FOLDER a checkpoint with random or true weights. The first
takes the first --limit rows of each split. Every way runs in a process of its own, one after the other, --rounds times over:

  original  the original's data_cls: padded to the full length, all hidden states, batch 32
  torch     PyTorch at its best on a CPU: rows sorted by length, padded to the longest of the batch, inference_mode, SDPA attention
            where the class has one, only the [CLS] states kept
  onnx      ONNX Runtime on the model exported from PyTorch: sorted, padded to the longest of the batch, all graph optimisations
  candle    the xlm_roberta of candle-transformers (CamemBERT only): sorted, padded to the longest of the batch; last layer only
  ours      data-cls into a .npy file

Of torch, onnx and candle the quickest of the batch sizes --batches counts. Loading of the model is left out everywhere: ours is the
difference of a run over all rows and a run over one row of each split, reading and writing included. All states must agree.
Peak memory is that of the whole process (VmHWM). Prints medians over the rounds, ratios to ours, and JSON.

The second repeats the rows of `train` to so many and prints the peak memory of data-cls, which must not grow.
Versions it was written for: torch 2.15.0, transformers 4.57.1, datasets 5.0.1, onnxruntime 1.32.0, onnx 1.23.2, onnxscript 0.7.2.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "target", "release", "data-cls")
WAYS = ("original", "torch", "onnx", "candle", "ours")
SPLITS = ("train", "test")


# ------------------------------------------------------------------------------------------- rows
class Rows:
    """The tokens of the rows, and batches of them."""

    def __init__(self, folder, checkpoint):
        stored = np.load(os.path.join(folder, "rows.npz"))
        self.rows = np.split(stored["ids"], stored["bounds"])
        self.width = int(stored["width"])
        config = json.load(open(os.path.join(checkpoint, "config.json")))
        self.pad = config["pad_index"] if "pad_index" in config else config["pad_token_id"]

    @staticmethod
    def store(data, limit, folder):
        """The first rows of each split without their padding."""
        from datasets import load_from_disk

        data, rows = load_from_disk(data), []
        for split in SPLITS:
            part = data[split].select(range(min(limit, len(data[split]))))
            rows += [np.array(r["input_ids"])[np.array(r["attention_mask"]) == 1] for r in part]
        lengths = np.array([len(r) for r in rows])
        width = len(data[SPLITS[0]][0]["input_ids"])
        np.savez(os.path.join(folder, "rows.npz"), ids=np.concatenate(rows), bounds=lengths.cumsum()[:-1], width=width)
        return lengths

    def batch(self, pick, width):
        """(ids, mask) of these rows."""
        ids = np.full((len(pick), width), self.pad, dtype=np.int64)
        mask = np.zeros((len(pick), width), dtype=np.int64)
        for line, row in enumerate(pick):
            ids[line, : len(self.rows[row])] = self.rows[row]
            mask[line, : len(self.rows[row])] = 1
        return ids, mask

    def first(self):
        """A batch to begin with, which is not counted."""
        return self.batch(range(min(4, len(self.rows))), max(map(len, self.rows[:4])))

    def sorted(self, size):
        """Batches of similar lengths, the longest first: (rows, ids, mask)."""
        order = sorted(range(len(self.rows)), key=lambda r: -len(self.rows[r]))
        for start in range(0, len(order), size):
            pick = order[start : start + size]
            yield pick, *self.batch(pick, len(self.rows[pick[0]]))


# ------------------------------------------------------------------------------------ ways, each in its own process
def timed(rows, sizes, forward):
    """Every batch size once over all rows, after one batch that is not counted. `forward(ids, mask)` gives (layer, row, hidden)."""
    forward(*rows.first())
    seconds, states = {}, None
    for size in sizes:
        start, states = time.perf_counter(), [None] * len(rows.rows)
        for pick, ids, mask in rows.sorted(size):
            found = forward(ids, mask)
            for line, row in enumerate(pick):
                states[row] = found[:, line]
        seconds[size] = time.perf_counter() - start
    return seconds, np.stack(states, axis=1)


def original(a, rows):
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(a.threads)
    model = AutoModelForSequenceClassification.from_pretrained(a.checkpoint, output_hidden_states=True).eval()

    def forward(ids, mask):
        with torch.no_grad():
            hidden = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).hidden_states
        return np.stack([hidden[layer][:, 0, :].numpy().copy() for layer in a.layers])

    forward(*rows.first())
    start, states = time.perf_counter(), []
    for first in range(0, len(rows.rows), 32):
        states.append(forward(*rows.batch(range(first, min(first + 32, len(rows.rows))), rows.width)))
    return {"seconds": {32: time.perf_counter() - start}, "attention": model.config._attn_implementation}, np.concatenate(states, axis=1)


def load_encoder(checkpoint):
    """The encoder without a head, and how it attends."""
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(checkpoint, attn_implementation="sdpa", add_pooling_layer=False)
    except (TypeError, ValueError):  # FlauBERT has the eager attention only, and no pooling layer
        model = AutoModel.from_pretrained(checkpoint)
    return model.eval(), model.config._attn_implementation


def torch_best(a, rows):
    import torch

    torch.set_num_threads(a.threads)
    model, attention = load_encoder(a.checkpoint)
    # What gives the state of layer n: the n-th block, in XLM its last norm.
    blocks = model.layer_norm2 if hasattr(model, "layer_norm2") else model.encoder.layer
    kept = {}
    for layer in a.layers:
        def keep(_module, _inputs, output, layer=layer):
            kept[layer] = (output[0] if isinstance(output, tuple) else output)[:, 0, :].clone()

        blocks[layer - 1].register_forward_hook(keep)

    def forward(ids, mask):
        with torch.inference_mode():
            model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
        return np.stack([kept[layer].numpy() for layer in a.layers])

    seconds, states = timed(rows, a.batches, forward)
    return {"seconds": seconds, "attention": attention}, states


def export(a, path):
    """The [CLS] states of the layers as an ONNX graph with a free batch and length."""
    import torch

    model, _ = load_encoder(a.checkpoint)

    class Cls(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True).hidden_states
            return torch.stack([hidden[layer][:, 0, :] for layer in a.layers])

    ids = torch.full((2, 9), 7)
    free = {0: "batch", 1: "tokens"}
    torch.onnx.export(Cls().eval(), (ids, torch.ones_like(ids)), path, input_names=["input_ids", "attention_mask"],
                      output_names=["states"], dynamic_axes={"input_ids": free, "attention_mask": free, "states": {1: "batch"}},
                      opset_version=17, dynamo=False)


def onnx(a, rows):
    import onnxruntime

    path = os.path.join(a.folder, "model.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = a.threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def forward(ids, mask):
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    seconds, states = timed(rows, a.batches, forward)
    return {"seconds": seconds}, states


def in_process(a):
    """One of the Python ways; prints a JSON line."""
    if a.way == "export":
        return export(a, os.path.join(a.folder, "model.onnx"))
    found, states = {"original": original, "torch": torch_best, "onnx": onnx}[a.way](a, Rows(a.folder, a.checkpoint))
    np.save(os.path.join(a.folder, f"{a.way}.npy"), states)
    found["peak_mib"] = int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1]) / 1024
    print(json.dumps(found))


# ------------------------------------------------------------------------------------- calling
def data_cls(a, data, limit, out):
    """A run of data-cls: its summary and peak memory."""
    command = ["/usr/bin/time", "-f", "%M", "-o", out + ".peak", PROGRAM, "--quiet", "--offline", "--overwrite", "-b", str(a.batch),
               "--layers", ",".join(map(str, a.layers)), "--limit", str(limit), "--threads", str(a.threads), "--data", data,
               "--checkpoint", a.checkpoint, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)["runs"][0]["seconds"], int(open(out + ".peak").read().split()[-1]) / 1024


def ours(a, lengths):
    out = os.path.join(a.folder, "ours-out.npy")
    little, _ = data_cls(a, a.data, 1, out)
    seconds, peak = data_cls(a, a.data, a.limit, out)
    with open(out, "rb") as file:
        arrays = [np.load(file) for _ in range(2 * len(a.layers))]
    states = [np.concatenate(pair) for pair in zip(arrays[: len(a.layers)], arrays[len(a.layers) :])]
    np.save(os.path.join(a.folder, "ours.npy"), np.stack(states))
    return {"seconds": {a.batch: (seconds - little) * len(lengths) / (len(lengths) - 2)}, "peak_mib": peak}


def candle(a):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(a.threads), "FLUE_DATA": os.path.abspath(a.data), "FLUE_LIMIT": str(a.limit),
                   "FLUE_CHECKPOINT": os.path.abspath(a.checkpoint), "FLUE_BATCHES": ",".join(map(str, a.batches)),
                   "FLUE_STATES": os.path.join(a.folder, "candle.npy")}
    command = ["cargo", "bench", "--quiet", "--bench", "extraction"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=os.path.join(HERE, ".."))
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])


def child(a, way):
    command = [sys.executable, __file__, "--way", way, "--folder", a.folder, "--data", a.data, "--checkpoint", a.checkpoint, "--threads",
               str(a.threads), "--layers", ",".join(map(str, a.layers)), "--batches", ",".join(map(str, a.batches))]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": str(a.threads)})
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.strip().splitlines()[-1]) if way != "export" else None


def agree(a, way, expected):
    """Largest difference to the original's states; candle gives the last layer alone."""
    states = np.load(os.path.join(a.folder, f"{way}.npy"))
    worst = float(np.abs(states - (expected[-1:] if way == "candle" else expected)).max())
    if not worst < 1e-3:
        sys.exit(f"{way}: states differ from the reference's by {worst:.2e}")
    return worst


def compare(a):
    architecture = json.load(open(os.path.join(a.checkpoint, "config.json")))["model_type"]
    ways = [w for w in a.ways if w != "candle" or architecture in ("camembert", "roberta", "xlm-roberta")]
    lengths = Rows.store(a.data, a.limit, a.folder)
    print(f"{architecture}: {len(lengths)} rows of {lengths.mean():.0f} tokens, {a.threads} threads, {a.rounds} rounds", flush=True)
    if "onnx" in ways:
        try:
            child(a, "export")
        except RuntimeError as error:
            ways.remove("onnx")
            print(f"onnx: the export failed: {error}", flush=True)
    runs = {way: [] for way in ways}
    for number in range(a.rounds):
        expected = None
        for way in ways:
            run = ours(a, lengths) if way == "ours" else candle(a) if way == "candle" else child(a, way)
            if expected is None:
                expected = np.load(os.path.join(a.folder, f"{way}.npy"))
            run["difference"] = agree(a, way, expected)
            runs[way].append(run)
            print(f"round {number + 1} {way}: {json.dumps(run)}", flush=True)
    result = {"architecture": architecture, "rows": len(lengths), "mean_tokens": float(lengths.mean()), "threads": a.threads, "ways": {}}
    for way in ways:
        # The batch size whose median is the quickest.
        medians = {size: statistics.median(run["seconds"][size] for run in runs[way]) for size in runs[way][0]["seconds"]}
        size = min(medians, key=medians.get)
        result["ways"][way] = {
            "batch": int(size), "seconds": medians[size], "rows_per_second": len(lengths) / medians[size],
            "peak_mib": statistics.median(run["peak_mib"] for run in runs[way]),
            "difference": max(run["difference"] for run in runs[way]), "runs": runs[way],
        }
    show(a, result)


def show(a, result):
    print(f"\n{'':<10}{'batch':>6}{'seconds':>9}{'rows/s':>9}{'ours is':>10}{'peak, MiB':>11}{'ours has':>10}{'difference':>12}")
    own = result["ways"].get("ours")
    for way, found in result["ways"].items():
        if own:
            found["ours_is"] = own["rows_per_second"] / found["rows_per_second"]
            found["ours_has"] = own["peak_mib"] / found["peak_mib"]
        speed, memory = (f"{found['ours_is']:.2f} x", f"{found['ours_has']:.2f} x") if own else ("", "")
        print(f"{way:<10}{found['batch']:>6}{found['seconds']:>9.2f}{found['rows_per_second']:>9.2f}{speed:>10}{found['peak_mib']:>11.0f}"
              f"{memory:>10}{found['difference']:>12.1e}")
    if "torch" in result["ways"]:
        print(f"PyTorch's attention: {result['ways']['torch']['runs'][0]['attention']}")
    print(json.dumps(result if a.json is None else {k: v for k, v in result.items() if k != "ways"}))
    if a.json:
        with open(a.json, "w") as file:
            json.dump(result, file, indent=1)


def memory(a):
    """Peak memory of data-cls on so many rows of each length that `train` has."""
    from datasets import DatasetDict, disable_progress_bars, load_from_disk

    disable_progress_bars()
    data = load_from_disk(a.data)
    found = []
    print(f"{'rows':>7}{'seconds':>10}{'peak, MiB':>11}")
    for count in a.memory:
        folder = os.path.join(a.folder, f"rows-{count}")
        train = data["train"].select([row % len(data["train"]) for row in range(count)])
        DatasetDict({"train": train, "test": data["test"].select(range(1))}).save_to_disk(folder)
        seconds, peak = data_cls(a, folder, count, os.path.join(a.folder, "memory.npy"))
        found.append({"rows": count, "seconds": seconds, "peak_mib": peak})
        print(f"{count:>7}{seconds:>10.1f}{peak:>11.0f}", flush=True)
    print(json.dumps({"memory": found}))


def numbers(word):
    return [int(n) for n in word.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True)
    p.add_argument("--checkpoint", required=True)
    p.add_argument("--limit", type=int, default=100, help="rows of each split")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--layers", type=numbers, default=[5, 7, 9, 11, 12])
    p.add_argument("--batches", type=numbers, default=[4, 8, 16], help="tried by torch, onnx and candle")
    p.add_argument("--batch", type=int, default=32, help="-b of data-cls")
    p.add_argument("--ways", type=lambda w: w.split(","), default=list(WAYS))
    p.add_argument("--json", help="write all figures to this file")
    p.add_argument("--memory", type=numbers, help="the peak memory of data-cls on so many rows instead")
    p.add_argument("--way", help=argparse.SUPPRESS)
    p.add_argument("--folder", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.way:
        return in_process(a)
    with tempfile.TemporaryDirectory() as a.folder:
        (memory if a.memory else compare)(a)


if __name__ == "__main__":
    main()
