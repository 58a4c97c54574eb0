#!/usr/bin/env python3
"""How fast runs that do nothing are dispatched: `sweep run` against GNU parallel with --joblog, on this machine.

    benchmarks/orchestrator/dispatch.py --sweep build/release/bin/sweep --runs 500 --slots 2 --rounds 3

The trainer is a shell script that links a result into its run folder: what is measured is starting, watching and recording.
GNU parallel runs the same script on the same folders, which it finds made, and is left out where it is not installed.
Each round is one of each, one after the other; printed are the runs a second of each, and their medians.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

# The run's id is the name of its folder. printf, mkdir and ln alone: a Python start would hide the rest.
TRAINER = r"""#!/bin/sh
[ -e "$1/result.json" ] && exit 0
id=${1##*/}
printf '{"schema":"sweep.result/1","run_id":"%s","attempt":%s,"outcome":"completed","samples_seen":128,"final_loss":1.0}' \
  "$id" "$2" > "$1/result.tmp" && ln "$1/result.tmp" "$1/result.json"
"""


def sweep_file(folder, runs, slots):
    model = {"embed_dim": 32,
             "vision": {"image_size": 28, "patch_size": 7, "width": 32, "layers": 2, "head_width": 32},
             "text": {"context_length": 16, "vocab_size": 64, "width": 32, "heads": 1, "layers": 2}}
    trainer = os.path.join(folder, "trainer.sh")
    with open(trainer, "w") as out:
        out.write(TRAINER)
    os.chmod(trainer, 0o755)
    path = os.path.join(folder, "sweep.json")
    with open(path, "w") as out:
        json.dump({"version": 1, "name": "dispatch", "models": {"tiny": model},
                   "grid": {"model": ["tiny"], "seed": list(range(runs))},
                   "fixed": {"dataset": "fashion_scenes", "samples_seen": 128, "global_batch_size": 128,
                             "learning_rate": 0.001},
                   "executor": {"kind": "local", "slots": slots}, "trainer": {"command": [trainer]}}, out)
    return path


def seconds_of(command, **options):
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    return time.monotonic() - started


def time_sweep(program, folder, runs, slots):
    store = os.path.join(folder, "store")
    seconds = seconds_of([program, "run", sweep_file(folder, runs, slots), "--store", store])
    done = len([run for run in os.listdir(os.path.join(store, "runs"))
                if os.path.exists(os.path.join(store, "runs", run, "result.json"))])
    assert done == runs, f"{done} of {runs} runs are done"
    return seconds


def time_parallel(folder, runs, slots):
    """The same script, on folders that are there already."""
    sweep_file(folder, runs, slots)
    folders = [os.path.join(folder, f"{run:032d}") for run in range(runs)]
    for path in folders:
        os.mkdir(path)
    return seconds_of(["parallel", "-j", str(slots), "--joblog", os.path.join(folder, "joblog"),
                       os.path.join(folder, "trainer.sh"), "{}", "1", ":::", *folders])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", nargs="+", default=["build/release/bin/sweep"], help="one or more, to compare")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    contenders = {program: lambda folder, program=program: time_sweep(os.path.abspath(program), folder, options.runs,
                                                                      options.slots)
                  for program in options.sweep}
    if shutil.which("parallel"):
        contenders["parallel"] = lambda folder: time_parallel(folder, options.runs, options.slots)
    rates = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, measure in contenders.items():
            with tempfile.TemporaryDirectory(prefix="dispatch-") as folder:
                rates[name].append(options.runs / measure(folder))
    for name, measured in rates.items():
        print(f"{name:30} {statistics.median(measured):7.1f} runs/s   ({', '.join(f'{rate:.1f}' for rate in measured)})")


if __name__ == "__main__":
    main()
