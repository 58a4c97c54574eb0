#!/usr/bin/env python3
"""100,000 simulated runs: how long plan, validate, status and export take, with how much memory, and how many
questions an idle `sweep run` asks a scheduler a minute.

  benchmarks/orchestrator/scale.py --sweep build/release/bin/sweep [--runs 100000] [--repeats 5] [--idle-seconds 120]

The store is a true one up to the runs' ends, which are written into its database: all but a hundredth are completed,
with one attempt and two evaluations each. The scheduler is a set of scripts that say what Slurm would.
"""
import argparse
import json
import multiprocessing
import os
import resource
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time

NEVER_ENDS = ["/bin/sh", "-c", "sleep 1000"]


def sweep_file(runs, executor):
    models = {f"w{width}": {
        "embed_dim": width,
        "vision": {"image_size": 28, "patch_size": 7, "width": width, "layers": 2, "head_width": 32},
        "text": {"context_length": 16, "vocab_size": 64, "width": width, "heads": 1, "layers": 2}}
        for width in range(32, 352, 32)}
    return {"version": 1, "name": "large", "models": models,
            "grid": {"model": list(models), "samples_seen": [1024 << i for i in range(10)],
                     "learning_rate": [1e-4 * i for i in range(1, 11)], "seed": list(range(max(1, runs // 1000)))},
            "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128},
            "evaluations": ["fashion_items", "fashion_retrieval"],
            "executor": executor, "trainer": {"command": NEVER_ENDS}}


def write(path, content, mode=0o644):
    with open(path, "w") as out:
        out.write(content)
    os.chmod(path, mode)
    return path


def add_sweep(sweep, file, store):
    """Starts the sweep and stops it once its runs are in the store."""
    began = time.monotonic()
    process = subprocess.Popen([sweep, "run", file, "--store", store, "--slots", "1"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while not (os.path.isdir(f"{store}/runs") and os.listdir(f"{store}/runs")) and process.poll() is None:
        time.sleep(0.02)
    seconds = time.monotonic() - began
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, _, usage = os.wait4(process.pid, 0)
    print(f"adding the sweep to a new store and starting its first run: {seconds:.1f} s, {usage.ru_maxrss / 1000:.0f} MB")


def complete_most(store):
    database = sqlite3.connect(f"{store}/sweep.db")
    runs = [row[0] for row in database.execute("SELECT run_id FROM runs WHERE state = 'planned' AND "
        "run_id NOT IN (SELECT run_id FROM attempts) ORDER BY run_id")]
    done = runs[len(runs) // 100:]
    database.executemany("UPDATE runs SET state = 'completed', final_loss = 1.5, train_seconds = 10, checkpoint = 'c' "
                         "WHERE run_id = ?", [(run,) for run in done])
    database.executemany(
        "INSERT OR IGNORE INTO attempts (run_id, attempt, executor, host, pid, started_at, ended_at, outcome, exit_code, "
        "predicted_seconds) VALUES (?, 1, 'local', ?, 1, 1.0, 11.0, 'succeeded', 0, 9.0)", [(run, os.uname().nodename) for run in done])
    (listed,) = os.listdir(f"{store}/sweeps")
    with open(f"{store}/sweeps/{listed}") as file:
        wanted = {run["run_id"]: run["evaluations"] for run in json.load(file)["sweep"]["runs"]}
    for run in done:
        for evaluation, metric in zip(wanted[run], ("acc1", "image_retrieval_recall@5")):
            database.execute("INSERT OR IGNORE INTO evaluations VALUES (?, ?, ?, ?, ?, ?, 1.0)",
                             (evaluation["eval_id"], run, evaluation["samples_seen"], evaluation["spec"]["task"],
                              evaluation["eval_dataset"], json.dumps(evaluation["spec"])))
            database.execute("INSERT OR IGNORE INTO measurements VALUES (?, ?, 0.5, 1000)", (evaluation["eval_id"], metric))
        started = {"seq": 0, "at": 1.0, "type": "started", "device": "cpu", "threads": 1}
        database.execute("INSERT OR IGNORE INTO events VALUES (?, 1, 0, 'started', ?)", (run, json.dumps(started)))
        for event in range(1, 3):
            database.execute("INSERT OR IGNORE INTO events VALUES (?, 1, ?, 'step', ?)",
                             (run, event, json.dumps({"seq": event, "at": 1.0 + event, "type": "step", "loss": 2.0,
                                                      "samples_seen": 128 * event, "samples_per_second": 128.0})))
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def measure(command, repeats):
    """(median seconds, peak MB) of a command whose output is thrown away."""
    seconds, peak = [], 0
    for _ in range(repeats):
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.monotonic() - began)
        peak = max(peak, usage.ru_maxrss / 1000)
        if status != 0:
            raise SystemExit(f"{command} ended with {status}")
    return statistics.median(seconds), peak


def idle_queries(sweep, folder, runs, seconds):
    """Questions to the scheduler a minute while nothing happens, from the first good answer on."""
    tools, log = f"{folder}/tools", f"{folder}/queries"
    os.makedirs(tools)
    write(f"{tools}/scontrol", "#!/bin/sh\necho 'MaxArraySize = 1001\nMaxJobCount = 10000'\n", 0o755)
    write(f"{tools}/sbatch", f"#!/bin/sh\necho sbatch >>{log}\necho 4711\n", 0o755)
    write(f"{tools}/squeue", f"""#!/bin/sh
date +%s >>{log}
for token in $(ls {folder}/idle/submissions); do for i in $(seq 0 99); do echo "$token|4711|$i|RUNNING|None"; done; done
""", 0o755)
    for name in ("sinfo", "sacct", "scancel"):
        write(f"{tools}/{name}", "#!/bin/sh\n", 0o755)
    file = write(f"{folder}/idle.json", json.dumps(sweep_file(min(runs, 100000), {"kind": "slurm", "max_running": 100})))
    process = subprocess.Popen([sweep, "run", file, "--store", f"{folder}/idle"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
    while not (os.path.exists(log) and "sbatch" in open(log).read()):
        if process.poll() is not None:
            raise SystemExit(f"the idle sweep ended with {process.returncode}")
        time.sleep(0.1)
    time.sleep(5)
    before = len(open(log).read().splitlines())
    used = cpu_seconds(process.pid)
    time.sleep(seconds)
    queries = (len(open(log).read().splitlines()) - before) * 60 / seconds
    busy = (cpu_seconds(process.pid) - used) / seconds
    process.send_signal(signal.SIGINT)
    _, _, usage = os.wait4(process.pid, 0)
    return queries, busy, usage.ru_maxrss / 1000


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", required=True)
    parser.add_argument("--runs", type=int, default=100000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--idle-seconds", type=int, default=120)
    parser.add_argument("--store", help="keep the store here, or use the one that is here")
    options = parser.parse_args()
    sweep = os.path.abspath(options.sweep)
    with tempfile.TemporaryDirectory(prefix="sweep-scale-") as folder:
        file = write(f"{folder}/large.json", json.dumps(sweep_file(options.runs, {"kind": "local", "slots": 1})))
        store = os.path.abspath(options.store or f"{folder}/store")
        if not os.path.exists(f"{store}/sweep.db"):
            add_sweep(sweep, file, store)
            # In a process of its own: what is started by a large one would count as large.
            filling = multiprocessing.Process(target=complete_most, args=(store,))
            filling.start()
            filling.join()
        print(f"load {os.getloadavg()[0]:.1f}; median of {options.repeats}")
        empty = f"{folder}/none"
        for name, words, where in [("validate", ["validate", file], empty), ("plan, new store", ["plan", file], empty),
                                   ("plan", ["plan", file], store), ("status", ["status"], store),
                                   ("status --json", ["status", "--json"], store),
                                   ("export points", ["export", "points"], store)]:
            seconds, peak = measure([sweep, *words, "--store", where], options.repeats)
            print(f"{name:16} {seconds:7.3f} s {peak:7.0f} MB", flush=True)
        if options.idle_seconds > 0:
            queries, busy, peak = idle_queries(sweep, folder, options.runs, options.idle_seconds)
            print(f"idle on Slurm    {queries:.2f} queries a minute, {100 * busy:.2f} % of a core, {peak:.0f} MB")


if __name__ == "__main__":
    main()
