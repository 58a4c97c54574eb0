"""Percentile limits of the binned LAION curves: resample the 29 models, bin again, fit again.

Run from the repository's root with numpy 2.x; prints one line a set. Used by tests/fit/published_curves_test.cc.
"""

import csv

import numpy as np


def binned_slope(compute, error):
    x, y = np.log10(compute), np.log10(error)
    edges = np.histogram(x, range=(x.min(), x.max() + 0.1), bins=5)[1]
    bins = np.digitize(x, edges)
    kept = [b for b in range(1, 6) if (bins == b).any()]
    centres = [(edges[b - 1] + edges[b]) / 2 for b in kept]
    smallest = [y[bins == b].min() for b in kept]
    return np.polyfit(centres, smallest, 1)[0]


rows = list(csv.DictReader(open("sweeps/published/clip_zeroshot.csv")))
for name, metric in [
    ("imagenet1k", "acc1"),
    ("imagenet_robustness", "acc1"),
    ("mscoco_captions", "image_retrieval_recall@5"),
    ("flickr30k", "image_retrieval_recall@5"),
]:
    mine = [r for r in rows if r["eval_dataset"] == name and r["metric"] == metric and r["pretraining_dataset"] != "CLIP-WIT"]
    compute = np.array([float(r["compute_gmacs"]) for r in mine])
    error = np.array([1 - float(r["value"]) for r in mine])
    random = np.random.default_rng(0)
    slopes = []
    for _ in range(4000):
        drawn = random.integers(0, len(mine), len(mine))
        slopes.append(binned_slope(compute[drawn], error[drawn]))
    print(name, binned_slope(compute, error), np.percentile(slopes, [2.5, 97.5]))
