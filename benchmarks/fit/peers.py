#!/usr/bin/env python3
"""Runs scipy and fit_benchmark alternately on the same points, one thread each, and prints the ratios.

    cmake -S . -B build/bench -G Ninja -DSWEEP_BENCHMARKS=ON -DSWEEP_TRAINER=OFF && ninja -C build/bench fit_benchmark
    OMP_NUM_THREADS=1 python3 benchmarks/fit/peers.py build/bench/bin/fit_benchmark [rounds]

Needs numpy and scipy. The peers are what a researcher writes: the log-sum-exp form with a Huber loss of 1e-3, minimised by L-BFGS-B with
scipy's numerical or an analytic gradient from the 4,500 starts of Hoffmann et al. 2022, and a raced version (objective everywhere, the best
45 starts minimised, the best polished by BFGS). The full grids are timed on every `STRIDE`th start and scaled.
"""

import json
import subprocess
import sys
import time

import numpy as np
from scipy.optimize import minimize

STRIDE = 50
DELTA = 1e-3


def load(program):
    text = subprocess.run([program, "--points"], capture_output=True, text=True, check=True).stdout
    n, d, loss = np.array([line.split(",") for line in text.split()[1:]], dtype=float).T
    return np.log(n), np.log(d), np.log(loss)


def terms(u, ln, ld):
    a = np.stack([np.full_like(ln, u[0]), u[1] - u[3] * ln, u[2] - u[4] * ld])
    top = a.max(axis=0)
    e = np.exp(a - top)
    s = e.sum(axis=0)
    return top + np.log(s), e / s


def objective(u, ln, ld, ll):
    r = terms(u, ln, ld)[0] - ll
    size = np.abs(r)
    return np.where(size <= DELTA, 0.5 * r * r, DELTA * (size - 0.5 * DELTA)).sum()


def with_gradient(u, ln, ld, ll):
    f, p = terms(u, ln, ld)
    r = f - ll
    size = np.abs(r)
    psi = np.clip(r, -DELTA, DELTA)
    value = np.where(size <= DELTA, 0.5 * r * r, DELTA * (size - 0.5 * DELTA)).sum()
    return value, np.array([psi @ p[0], psi @ p[1], psi @ p[2], -psi @ (p[1] * ln), -psi @ (p[2] * ld)])


def grid():
    return np.array(
        [
            (e, a, b, alpha, beta)
            for alpha in (0, 0.5, 1, 1.5, 2)
            for beta in (0, 0.5, 1, 1.5, 2)
            for e in (-1, -0.5, 0, 0.5, 1)
            for a in range(0, 26, 5)
            for b in range(0, 26, 5)
        ],
        dtype=float,
    )


def full(points, jac):
    starts = grid()[::STRIDE]
    begin = time.perf_counter()
    function = with_gradient if jac else objective
    best = min(minimize(function, u, points, jac=jac, method="L-BFGS-B").fun for u in starts)
    return (time.perf_counter() - begin) * STRIDE, best


def raced(points):
    begin = time.perf_counter()
    starts = grid()
    values = np.array([objective(u, *points) for u in starts])
    runs = [minimize(with_gradient, starts[k], points, jac=True, method="L-BFGS-B") for k in np.argsort(values)[:45]]
    best = min(runs, key=lambda run: run.fun)
    best = minimize(with_gradient, best.x, points, jac=True, method="BFGS", options={"gtol": 1e-12})
    return time.perf_counter() - begin, best


def resamples(points, start, count=100):
    ln, ld, ll = points
    random = np.random.default_rng(0)
    begin = time.perf_counter()
    for _ in range(count):
        k = random.integers(0, len(ll), len(ll))
        minimize(with_gradient, start, (ln[k], ld[k], ll[k]), jac=True, method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-12})
    return (time.perf_counter() - begin) * 4000 / count


def ours(program, name):
    output = subprocess.run([program, f"--benchmark_filter=^{name}", "--benchmark_format=json"], capture_output=True, text=True, check=True)
    run = json.loads(output.stdout)["benchmarks"][0]
    return run["real_time"] / 1e3, run["objective"], run["at_best"]


def main():
    program = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    points = load(program)
    rows = {}
    for _ in range(rounds):
        seconds, best = raced(points)
        rows.setdefault("raced grid", []).append((seconds, best.fun, *ours(program, "ChinchillaRacedGrid")))
        rows.setdefault("4,000 warm resamples", []).append((resamples(points, best.x), best.fun, *ours(program, "Chinchilla4000Resamples")))
        seconds, value = full(points, True)
        mine = ours(program, "ChinchillaEveryStartOfTheGrid")
        rows.setdefault("full grid, analytic gradient", []).append((seconds, value, *mine))
        seconds, value = full(points, False)
        rows.setdefault("full grid, numerical gradient", []).append((seconds, value, *mine))
    print("| task | scipy, s | ours, s | ratio | scipy's best objective | ours | starts at the best |\n|---|---|---|---|---|---|---|")
    for task, runs in rows.items():
        theirs, value, seconds, objective_, share = np.median(np.array(runs, dtype=float), axis=0)
        print(f"| {task} | {theirs:.3g} | {seconds:.3g} | {theirs / seconds:.0f} | {value:.13g} | {objective_:.13g} | {share:.0%} |")
    print("offset law: %.3f ms a fit" % (1e3 * ours(program, "OffsetLaw")[0]))


main()
