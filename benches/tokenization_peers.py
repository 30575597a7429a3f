"""The tokenizers beside transformers', on the same texts in one run: seconds, texts per second, ratios.

    python benches/tokenization_peers.py --texts reviews.csv --flaubert DIR --camembert DIR [--rows 50000] [--threads 2]
                                         [--end-to-end]

The texts (column `text` of the CSV) are repeated to --rows. `FlaubertTokenizer` is slow: it gets the CSV once and its
time is scaled. `CamembertTokenizerFast` gets all rows in batches of 1,000 with its own parallelism. --end-to-end also
times `flue-cls-prepare` against `datasets.map` and `save_to_disk`, from the CSV to the folder.
"""
import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time


def read(path, rows):
    with open(path, encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    labels = [row["label"] for row in table]
    texts = [row["text"] for row in table]
    return len(texts), [texts[i % len(texts)] for i in range(rows)], [labels[i % len(texts)] for i in range(rows)]


def ours(texts, folders, threads):
    """Seconds for each folder, from the bench of this package."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8", delete=False) as out:
        out.writelines(json.dumps(text, ensure_ascii=False) + "\n" for text in texts)
    environment = dict(os.environ, FLUE_TEXTS=out.name, FLUE_TOKENIZERS=":".join(folders), RAYON_NUM_THREADS=str(threads))
    command = ["cargo", "bench", "--quiet", "--bench", "tokenization"]
    lines = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    os.remove(out.name)
    return [json.loads(line)["seconds"] for line in lines if line.startswith("{")]


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def batches(tokenizer, texts):
    for i in range(0, len(texts), 1000):
        tokenizer(texts[i:i + 1000], truncation=True, max_length=512)


def end_to_end(texts, labels, folder, threads):
    """(ours, theirs) in seconds, from a CSV to a folder."""
    from datasets import DatasetDict, load_dataset
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as work:
        source = os.path.join(work, "train.csv")
        with open(source, "w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["text", "label"])
            writer.writerows(zip(texts, labels))
        command = ["cargo", "run", "--release", "--quiet", "--bin", "flue-cls-prepare", "--", "-c", folder, "--data", source,
                   "--threads", str(threads), "--quiet"]
        prepare = lambda: subprocess.run(command + [os.path.join(work, "ours")], check=True, stdout=subprocess.DEVNULL)
        prepare()
        shutil.rmtree(os.path.join(work, "ours"))
        mine = timed(prepare)

        def theirs():
            tokenizer = AutoTokenizer.from_pretrained(folder)
            data = DatasetDict({"train": load_dataset("csv", data_files=source, split="train", cache_dir=os.path.join(work, "cache"))})
            data = data.map(lambda rows: tokenizer(rows["text"], padding="max_length", truncation=True), batched=True)
            data.save_to_disk(os.path.join(work, "theirs"))

        return mine, timed(theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--flaubert", required=True)
    parser.add_argument("--camembert", required=True)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--end-to-end", action="store_true")
    arguments = parser.parse_args()
    os.environ.update(RAYON_NUM_THREADS=str(arguments.threads), TOKENIZERS_PARALLELISM="true", OMP_NUM_THREADS="1",
                      TRANSFORMERS_VERBOSITY="error", HF_DATASETS_DISABLE_PROGRESS_BARS="1")
    from transformers import AutoTokenizer

    distinct, texts, labels = read(arguments.texts, arguments.rows)
    flaubert, camembert = ours(texts, [arguments.flaubert, arguments.camembert], arguments.threads)
    slow = AutoTokenizer.from_pretrained(arguments.flaubert)
    once = texts[:distinct]
    peer = timed(lambda: [slow(text, truncation=True, max_length=512) for text in once]) * len(texts) / len(once)
    again = timed(lambda: [slow(text, truncation=True, max_length=512) for text in once]) * len(texts) / len(once)
    fast = AutoTokenizer.from_pretrained(arguments.camembert)
    peer_fast = timed(lambda: batches(fast, texts))
    report = [("FlaubertTokenizer", flaubert, peer), ("FlaubertTokenizer, words cached", flaubert, again),
              ("CamembertTokenizerFast", camembert, peer_fast)]
    if arguments.end_to_end:
        report.append(("prepare, CamemBERT", *end_to_end(texts, labels, arguments.camembert, arguments.threads)))
    print(f"{len(texts)} texts, {arguments.threads} threads")
    for name, mine, theirs in report:
        print(f"{name:32} theirs {theirs:9.2f} s {len(texts) / theirs:9.0f}/s   ours {mine:7.2f} s {len(texts) / mine:9.0f}/s   "
              f"ratio {theirs / mine:7.1f}")


if __name__ == "__main__":
    sys.exit(main())
