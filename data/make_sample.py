#!/usr/bin/env python3
"""Write the sample corpus: invented French reviews of books, DVDs and music, stored as a Webis CLS-10 tree.

Python 3 and its standard library only; the same seed always gives the same files:

    python3 data/make_sample.py

Everything that is said comes from the grammar and the word lists beside this file. No text comes from elsewhere.
"""

import argparse
import random
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from french import mistype, sentence, typography
from lexicon import THINGS
from opinions import Opinions
from scenes import Scene

CATEGORIES = ("books", "dvd", "music")
SIZES = {"train": 1200, "test": 240}


def length(rng):
    """The number of words aimed at: 10 to 400, most reviews near 60."""
    return max(8, min(370, int(rng.lognormvariate(3.95, 0.75))))


def body(rng, opinions, scene, polarity, strong, aim):
    """Sentences that describe and weigh; a strong review rarely says anything of the other sign. (sentences, mixed)"""
    share = 0.82 if strong else 0.52
    start, facts, plot, judged, mixed, last = [], [], [], [], False, 0
    if rng.random() < (0.93 if aim > 22 else 0.3):
        start.append(scene.opening())
    if aim > 160 or (aim > 40 and rng.random() < 0.12):
        start.append(opinions.early_verdict(polarity))
    if aim > 40 and rng.random() < 0.6:
        plot = scene.plot(rng.randrange(1, 3 + aim // 80))
    while count(start + facts + plot + judged) < aim - 12:
        kind = rng.random()
        if kind < 0.14 and len(facts) < 1 + aim // 130:
            facts.append(scene.fact())
        elif 0.14 < kind < 0.16 and judged:
            judged.append(scene.fact())
        elif kind < 0.23:
            judged.append(opinions.hearsay())
        elif kind < 0.32:
            judged.append(opinions.feeling(polarity))
        else:
            sign = polarity if rng.random() < share else -polarity
            judged.append(opinions.remark(sign, last))
            mixed, last = mixed or sign != polarity, sign
    return start + facts + plot + judged, mixed


def count(lines):
    return sum(len(line.split()) for line in lines)


def review(rng, category, polarity):
    """One review: a dictionary of the fields of a Webis item."""
    thing, woman, strong = rng.choice(THINGS[category]), rng.random() < 0.5, rng.random() < 0.4
    scene, opinions = Scene(rng, category, thing, woman), Opinions(rng, category, thing, woman)
    aim = length(rng)
    lines, mixed = body(rng, opinions, scene, polarity, strong, aim)
    if not lines and rng.random() < 0.6:
        lines.append(opinions.feeling(polarity) if rng.random() < 0.5 else sentence(opinions.clause(polarity)))
    if count(lines) < 5:
        lines.insert(0, scene.opening())
    lines.append(opinions.verdict(polarity, mixed))
    if aim > 14 and rng.random() < 0.6:
        lines.append(opinions.afterword(polarity))
    if aim > 40 and rng.random() < 0.12:
        lines.append(scene.delivery())
    if rng.random() < 0.1:
        lines = [line[:-1] + "…" if line.endswith(".") and rng.random() < 0.3 else line for line in lines]
    if rng.random() < 0.15 and lines[-1].endswith("."):
        lines[-1] = lines[-1][:-1] + rng.choice([" !", " !!!", " !!"])
    text = " ".join(lines)
    if rng.random() < 0.12:
        text = " \n".join(lines)
    text = typography(text, rng)
    if rng.random() < 0.25:
        text = mistype(text, rng)
    rating = {(1, True): "5.0", (1, False): "4.0", (-1, True): "1.0", (-1, False): "2.0"}[polarity, strong]
    return {"category": category, "rating": rating, "text": text, "title": f"{scene.title}", "summary": scene.headline(polarity)}


def item(r, number):
    return (f"<item><category>{r['category']}</category><rating>{r['rating']}</rating><asin>S{number:09d}</asin>"
            f"<url>http://sample.invalid/{r['category']}/{number}</url><text>{r['text']}</text><title>{r['title']}\n</title>"
            f"<summary>{r['summary']}\n</summary></item>\n\n")


def key(text):
    """What two reviews must not share: their letters, whatever their typography."""
    return re.sub(r"\W+", "", text.lower())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where cls-acl10-unprocessed/ goes (default: beside this file)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the whole corpus (default: 7)")
    args = parser.parse_args()
    seen, number = set(), 0
    for category in CATEGORIES:
        folder = args.out / "cls-acl10-unprocessed" / "fr" / category
        folder.mkdir(parents=True, exist_ok=True)
        for split, size in SIZES.items():
            rng = random.Random(f"{args.seed}/{category}/{split}")
            signs = [1, -1] * (size // 2)
            rng.shuffle(signs)
            with open(folder / f"{split}.review", "w", encoding="utf-8", newline="\n") as out:
                out.write('<?xml version="1.0" encoding="UTF-8"?>\n<items>\n')
                for sign in signs:
                    r = review(rng, category, sign)
                    while key(r["text"]) in seen:
                        r = review(rng, category, sign)
                    seen.add(key(r["text"]))
                    number += 1
                    out.write(item(r, number))
                out.write("</items>\n")


if __name__ == "__main__":
    main()
