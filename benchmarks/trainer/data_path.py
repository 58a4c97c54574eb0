#!/usr/bin/env python3
"""Training from shards of JPEGs against training on a synthetic batch: what the data path costs.

    .venv-parity/bin/python benchmarks/trainer/data_path.py --sweep build/dev/bin/sweep --model ViT-B-32 --batch 32

Makes pictures of 256 x 256 pixels and captions of words that are one token each, packs them with `clip_train make_shards`,
trains by `sweep run`, and measures `clip_train bench` with texts of the same lengths before and after. The ratio is
the median rate of the run's step events (without the first) over the bench's. Environment: scripts/parity-setup.
"""
import argparse
import csv
import importlib.util
import io
import json
import os
import random
import statistics
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = "a the of in on with red blue dog cat man woman house tree car street sky water old new".split()


def vocabulary():
    """CLIP's merges, which open_clip's package carries."""
    return os.path.join(os.path.dirname(importlib.util.find_spec("open_clip").origin), "bpe_simple_vocab_16e6.txt.gz")


def make_pictures(folder, count, side, tokens):
    """A table of paths and captions; smooth noise, so that files are as large as photographs' (about 20 kB)."""
    from PIL import Image
    chance = random.Random(1)
    with open(f"{folder}/pairs.csv", "w", newline="") as out:
        table = csv.writer(out, delimiter="\t")
        table.writerow(["filepath", "title"])
        for i in range(count):
            noise = Image.frombytes("RGB", (side // 4, side // 4), chance.randbytes(3 * (side // 4) ** 2))
            noise.resize((side, side), Image.BICUBIC).save(f"{folder}/{i}.jpg", quality=90)
            table.writerow([f"{folder}/{i}.jpg", " ".join(chance.choices(WORDS, k=chance.randint(*tokens) - 2))])
    sizes = [os.path.getsize(f"{folder}/{i}.jpg") for i in range(count)]
    return statistics.mean(sizes)


def clip_train(args, *words):
    done = subprocess.run([os.path.join(os.path.dirname(args.sweep), "clip_train"), *words], check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout[done.stdout.index("{"):])


def synthetic_rate(args):
    return clip_train(args, "bench", "--model", f"{HERE}/models.json", "--name", args.model, "--precision", args.precision,
                      "--batch", str(args.batch), "--threads", str(args.threads), "--text-tokens", *map(str, args.text_tokens),
                      "--seconds", str(args.seconds))["images_per_second"]


def run_from_shards(args, folder, samples):
    shards = clip_train(args, "make_shards", "--table", f"{folder}/pairs.csv", f"{folder}/shards")
    with open(f"{HERE}/models.json") as models:
        model = json.load(models)["models"][args.model]
    sweep = {"version": 1, "name": "data-path", "models": {"model": model},
             "datasets": {"pictures": {**shards, "tokenizer": {"kind": "clip_bpe", "file": vocabulary()}}},
             "fixed": {"model": "model", "dataset": "pictures", "data_scale": args.pictures, "samples_seen": samples,
                       "global_batch_size": args.batch, "learning_rate": 1e-4, "precision": args.precision},
             "evaluations": [], "executor": {"kind": "local", "slots": 1, "threads_per_run": args.threads},
             "trainer": {"data_threads": args.data_threads, "checkpoint_every_seconds": 1e6}}
    with open(f"{folder}/sweep.json", "w") as out:
        json.dump(sweep, out)
    subprocess.run([args.sweep, "run", f"{folder}/sweep.json", "--store", f"{folder}/store"], check=True,
                   stdout=subprocess.DEVNULL)
    steps = subprocess.run([args.sweep, "export", "steps", "--store", f"{folder}/store"], check=True, capture_output=True,
                           text=True).stdout
    return list(csv.DictReader(io.StringIO(steps)))[1:]  # the first has the start-up in it


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", default="build/dev/bin/sweep", help="clip_train lies beside it")
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data-threads", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--side", type=int, default=256, help="of the pictures, pixels")
    parser.add_argument("--text-tokens", type=int, nargs=2, default=[8, 32], metavar=("LEAST", "MOST"))
    parser.add_argument("--seconds", type=float, default=15, help="of each measurement")
    args = parser.parse_args()
    args.sweep = os.path.abspath(args.sweep)
    with tempfile.TemporaryDirectory(prefix="data-path-") as folder:
        jpeg_bytes = make_pictures(folder, args.pictures, args.side, args.text_tokens)
        before = synthetic_rate(args)
        batches = max(4, round(args.seconds * before / args.batch))
        steps = run_from_shards(args, folder, batches * args.batch)
        synthetic = [before, synthetic_rate(args)]
    rate = statistics.median(float(step["samples_per_second"]) for step in steps)
    print(json.dumps(dict(model=args.model, precision=args.precision, batch=args.batch, threads=args.threads,
                          data_threads=args.data_threads, jpeg_bytes=round(jpeg_bytes),
                          synthetic_images_per_second=[round(value, 1) for value in synthetic],
                          images_per_second=round(rate, 1), ratio=round(rate / statistics.mean(synthetic), 3),
                          data_wait=round(statistics.median(float(step["data_wait"]) for step in steps), 4))))


if __name__ == "__main__":
    main()
