"""What people with notebooks do with the outputs, run in a folder that holds a finished `study-sample`.

Arguments: README.md and that folder. Runs every Python example of the README as it stands, then reads the files of numpy_save as the
original's notebooks do, one np.load after another in the order in which data_cls.py saved them, and draws the cone of each model with
seaborn. Prints the names of the pictures. Needs numpy, pandas with pyarrow, polars, matplotlib and seaborn.
"""
import os, pathlib, re, sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars
import seaborn

readme, folder = (pathlib.Path(a).resolve() for a in sys.argv[1:])
os.chdir(folder)
examples = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
assert len(examples) == 3, len(examples)
for number, example in enumerate(examples):
    # the last one stands where the notebooks do
    os.chdir(folder / "study-sample" if "numpy_save" in example else folder)
    exec(compile(example, f"README, Python example {number + 1}", "exec"), {})
    plt.close("all")

for model in ("flaubert_raw", "flaubert_ft", "camembert_raw", "camembert_ft"):
    with open(f"numpy_save/{model}.npy", "rb") as f:
        layers = [np.load(f) for split in ("train", "test") for layer in (5, 7, 9, 11, 12)]
        labels = np.concatenate([np.load(f) for split in ("train", "test")])
        assert f.read() == b"", "more than the notebooks expect"
    rows = {len(x) for x in layers[:5]}, {len(x) for x in layers[5:]}
    assert all(len(r) == 1 for r in rows) and all(x.dtype == np.float32 and x.ndim == 2 for x in layers)
    last = np.concatenate([layers[4], layers[9]])
    assert len(last) == len(labels) and labels.dtype == np.int64 and set(labels) == {0, 1}
    cosines = last @ last[0] / np.linalg.norm(last, axis=1) / np.linalg.norm(last[0])
    seaborn.scatterplot(data=pd.DataFrame({"review": range(len(last)), "cosine": cosines, "label": labels}),
                        x="review", y="cosine", hue="label")
    plt.savefig(folder / f"cone_{model}.png")
    plt.close("all")
    ours = polars.read_csv("results/cone/cone.csv").filter(model=model)
    assert np.allclose(ours["cosine"], cosines, atol=1e-4) and ours["label"].to_list() == labels.tolist()
print("\n".join(sorted(p.name for p in folder.glob("*.png"))))
