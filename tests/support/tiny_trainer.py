#!/usr/bin/env python3
"""A trainer that trains nothing: keeps docs/run_directory.md, with an error that falls as a power of compute."""
import fcntl, hashlib, json, os, sys, time, zlib

run_dir, attempt = sys.argv[1], int(sys.argv[2])

def note(act):
    """For tests that ask what happened at all, whatever became of the store."""
    if "TINY_TRAINER_LEDGER" in os.environ:
        with open(os.environ["TINY_TRAINER_LEDGER"], "a") as ledger: print(act, os.path.basename(run_dir), file=ledger)

lock = open(f"{run_dir}/lock", "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("collided"); sys.exit(5)
note("began")
spec = json.load(open(f"{run_dir}/spec.json"))["spec"]
request = json.load(open(f"{run_dir}/attempts/{attempt}/attempt.json"))
events = open(f"{run_dir}/attempts/{attempt}/events.jsonl", "a")
sequence = 0
begin = time.time()

def event(**members):
    global sequence
    sequence += 1
    body = json.dumps({"seq": sequence, "at": time.time(), **members})[:-1]
    print(f'{body},"crc32":"{zlib.crc32(body.encode()):08x}"}}', file=events, flush=True)

def publish(path, content):
    if os.path.exists(path): return
    with open(path + f".{os.getpid()}.tmp", "w") as out:
        body = json.dumps(content)[:-1]
        out.write(f'{body},"sha256":"{hashlib.sha256(body.encode()).hexdigest()}"}}'); out.flush(); os.fsync(out.fileno())
    os.link(out.name, path); os.unlink(out.name)
    if path.endswith("result.json"): note("published")

event(type="started", host="here", pid=os.getpid(), device="cpu", threads=1, program="tiny_trainer")
compute = spec["samples_seen"] * spec["model"]["vision"]["width"] ** 2
for step in range(1, 6):
    event(type="step", step=step, samples_seen=min(step * spec["global_batch_size"], spec["samples_seen"]), loss=5.0 / step, learning_rate=1e-3,
          logit_scale=14.3, samples_per_second=1e3, data_wait=0.0, mfu=None)
    time.sleep(float(os.environ.get("TINY_TRAINER_STEP_SECONDS", "0")))
checkpoint = f"attempts/{attempt}/checkpoints/{spec['samples_seen']:012d}"
os.makedirs(f"{run_dir}/{checkpoint}", exist_ok=True)
publish(f"{run_dir}/result.json", {"schema": "sweep.result/1", "run_id": request["run_id"], "attempt": attempt,
        "outcome": "completed", "samples_seen": spec["samples_seen"], "final_loss": 1.0, "checkpoint": checkpoint,
        "train_seconds": time.time() - begin})
for wanted in request["evaluations"]:
    publish(f"{run_dir}/evaluations/{wanted['eval_id']}.json", {"schema": "sweep.evaluation/1",
            **{key: wanted[key] for key in ("eval_id", "samples_seen", "eval_dataset", "spec")}, "run_id": request["run_id"],
            "metrics": {name: {"value": 1 - 5 * compute ** -0.15, "sample_size": wanted["spec"]["size"]}
                        for name in ("acc1", "image_retrieval_recall@5", "text_retrieval_recall@5")}})
