"""The statistics beside the notebooks' way and vectorised NumPy, on the same states in one run; and what they cost beside the forward
passes that feed them.

    python benches/statistics_peers.py [--threads 2]
    python benches/statistics_peers.py --data DIR --checkpoint DIR [--sentences 100,200,400]

The first compares one layer of a base model: the cosines of 50 sentences (all pairs, mean, variance, quartiles), the trace of one
sentence's covariance, the effective rank of the tokens of 10 sentences. States are random, of the lengths of reviews; every value
must agree. Both sides have --threads threads. "notebook" does what the original's notebooks do: it gathers the tokens in lists, takes the
cosine of each pair in both orders, the whole covariance for its trace, and the complete singular value decomposition, U and V
included, in single precision. "numpy" is what one would write today: a matrix product a sentence, variances by column, singular values
alone.

The second runs `study layers` with all measures on so many sentences of `test`, prints the seconds of the statistics as a share of
those of the forward passes, and the peak memory of the process, which must not grow with the sentences.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

# before NumPy is there
THREADS = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "2"
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = THREADS

import numpy as np


def states(rng, sentences=50, hidden=768):
    """A common direction, dimensions of different sizes, and reviews' lengths: 190 tokens on average, cut at 512."""
    size = np.exp(0.5 * rng.normal(size=hidden))
    lengths = np.clip(rng.lognormal(5.0, 0.7, size=sentences), 20, 512).astype(int)
    return [(0.5 + rng.normal(size=(n, hidden)) * size).astype(np.float32) for n in lengths]


def summary(cosines):
    return [np.mean(cosines), np.var(cosines), *np.percentile(cosines, [0, 25, 50, 75, 100])]


def gathered(sentences):
    """All tokens as one matrix, made from lists as in the notebooks."""
    return np.array([list(token) for h in sentences for token in h])


def notebook_cosine(sentences):
    kept, variances = [], []
    for h in sentences:
        tokens = gathered([h]).T
        n = tokens.shape[1]
        matrix = np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                a, b = tokens[:, i], tokens[:, j]
                matrix[i, j] = np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))
        own = list(matrix[np.triu_indices(n, k=1)])
        variances.append(np.var(own))
        kept += own
    return summary(np.array(kept))


def numpy_cosine(sentences):
    kept, variances = [], []
    for h in sentences:
        unit = h / np.linalg.norm(h, axis=1, keepdims=True)
        kept.append((unit @ unit.T)[np.triu_indices(len(h), k=1)].astype(np.float64))
        variances.append(np.var(kept[-1]))
    return summary(np.concatenate(kept))


def notebook_trace(sentences):
    return [np.trace(np.cov(gathered(sentences[:1]).T))]


def numpy_trace(sentences):
    return [sentences[0].astype(np.float64).var(axis=0, ddof=1).sum()]


def effective_rank(sigma):
    p = sigma / sigma.sum()
    return [np.exp(-(p * np.log(p)).sum())]


def notebook_rank(sentences):
    _, sigma, _ = np.linalg.svd(gathered(sentences[:10]), full_matrices=True)
    return effective_rank(sigma)


def numpy_rank(sentences):
    return effective_rank(np.linalg.svd(np.concatenate(sentences[:10]).astype(np.float64), compute_uv=False))


WAYS = {"cosine": (notebook_cosine, numpy_cosine), "trace": (notebook_trace, numpy_trace), "erank": (notebook_rank, numpy_rank)}


def quickest(work, argument, runs):
    best, found = float("inf"), None
    for _ in range(runs):
        start = time.perf_counter()
        found = work(argument)
        best = min(best, time.perf_counter() - start)
    return best, found


def compare(threads):
    sentences = states(np.random.default_rng(1))
    with tempfile.NamedTemporaryFile(suffix=".npy", delete=False) as out:
        for h in sentences:
            np.save(out, h)
    environment = dict(os.environ, FLUE_STATES=out.name, RAYON_NUM_THREADS=str(threads))
    command = ["cargo", "bench", "--quiet", "--bench", "statistics"]
    lines = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    os.remove(out.name)
    ours = {line["measure"]: line for line in map(json.loads, filter(lambda l: l.startswith("{"), lines))}
    print(f"{sum(map(len, sentences))} tokens, {sum(len(h) * (len(h) - 1) // 2 for h in sentences)} pairs")
    print(f"{'':<8}{'ours, s':>10}{'notebook':>10}{'numpy':>10}{'ratio':>9}{'ratio':>8}")
    total = np.zeros(3)
    for measure, (notebook, vectorised) in WAYS.items():
        own = ours[measure]
        slow, first = quickest(notebook, sentences, 1 if measure == "cosine" else 3)
        quick, second = quickest(vectorised, sentences, 10)
        for found in (first, second):
            np.testing.assert_allclose(own["found"], found, rtol=2e-5, atol=2e-6)
        row = np.array([own["seconds"], slow, quick])
        total += row
        show(measure, row)
    show("all", total)


def show(name, row):
    print(f"{name:<8}{row[0]:>10.4f}{row[1]:>10.4f}{row[2]:>10.4f}{row[1] / row[0]:>8.0f}x{row[2] / row[0]:>7.1f}x")


def cost(data, checkpoint, counts, threads):
    program = os.path.join(os.path.dirname(__file__), "..", "target", "release", "study")
    print(f"{'sentences':>9}{'tokens':>9}{'forward, s':>12}{'statistics':>12}{'share':>8}{'peak, MB':>10}")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            sizes = [w for s in ("cosine", "trace", "erank") for w in (f"--{s}-sentences", count)]
            command = [program, "layers", "--offline", "--threads", str(threads), "--data", data, "--checkpoint", checkpoint,
                       "--out", os.path.join(folder, "out"), *sizes]
            timed = ["/usr/bin/time", "-f", "%M", "-o", os.path.join(folder, "memory"), *command]
            run = subprocess.run(timed, check=True, capture_output=True, text=True)
            found = json.loads(run.stdout)
            peak = int(open(os.path.join(folder, "memory")).read()) / 1000
        share = found["statistics_seconds"] / found["forward_seconds"]
        print(f"{found['sentences']:>9}{found['tokens']:>9}{found['forward_seconds']:>12.1f}{found['statistics_seconds']:>12.1f}"
              f"{share:>8.0%}{peak:>10.0f}", flush=True)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--data")
parser.add_argument("--checkpoint")
parser.add_argument("--sentences", default="100,200,400")
arguments = parser.parse_args()
if arguments.data:
    cost(arguments.data, arguments.checkpoint, arguments.sentences.split(","), arguments.threads)
else:
    compare(arguments.threads)
