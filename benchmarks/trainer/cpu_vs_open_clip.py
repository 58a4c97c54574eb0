#!/usr/bin/env python3
"""Training speed of clip_train and of open_clip (eager) on the same CPU, model, threads, batch and PyTorch version.

    .venv-parity/bin/python benchmarks/trainer/cpu_vs_open_clip.py --clip-train build/dev/bin/clip_train

Runs the two programs alternately, each in a process of its own, on synthetic data without I/O, and prints images per
second and the ratio for each precision. Both do the whole step: forward, contrastive loss, backward, AdamW, clamp. A
second ratio is per CPU second, which other work on the machine distorts less. The fractions are model FLOPs (three
forward passes, every token but padding) a CPU second over those of a 2048^3 product in the same precision and threads,
measured in the same run. `--text-tokens LEAST MOST` gives both texts of so many tokens in place of full ones: clip_train
does not compute what is after a text's end, open_clip does. Environment: scripts/parity-setup.
"""
import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def matmul_flops_per_cpu_second(precision):
    """What the machine can do: a 2048^3 product, the better of LibTorch's own and oneDNN's, best of five."""
    import torch

    a, b = (torch.randn(2048, 2048, dtype=torch.bfloat16 if precision == "bf16" else torch.float32) for _ in range(2))
    products = (lambda: torch.mm(a, b), lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], ""))
    best = 0
    with torch.no_grad():
        for product in products:
            product()
            for _ in range(5):
                before = cpu_seconds()
                product()
                best = max(best, 2 * 2048**3 / (cpu_seconds() - before))
    return best


def open_clip_worker(args):
    """The peer: open_clip's model, loss and training loop's arithmetic."""
    import math

    import open_clip
    import torch
    from open_clip.loss import ClipLoss

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    spec = json.load(open(args.models))["models"][args.model]
    model = open_clip.CLIP(spec["embed_dim"], spec["vision"], spec["text"])
    vision, text = spec["vision"], spec["text"]
    images = torch.randn(args.batch, 3, vision["image_size"], vision["image_size"])
    tokens = torch.zeros(args.batch, text["context_length"], dtype=torch.long)
    least, most = args.text_tokens or [text["context_length"]] * 2
    for row in tokens:
        length = torch.randint(least, most + 1, ()).item()
        row[:length] = torch.randint(1, text["vocab_size"] - 1, (length,))
        row[length - 1] = text["vocab_size"] - 1
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW([dict(params=others, weight_decay=0.0), dict(params=decayed, weight_decay=0.2)],
                                  lr=1e-4, betas=(0.9, 0.98), eps=1e-6)
    loss_function = ClipLoss()
    step_function = model
    if args.compile:
        step_function = torch.compile(model)

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.precision == "bf16"):
            loss = loss_function(*step_function(images, tokens))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        return loss.item()

    for _ in range(3):
        step()
    seconds, cpu_before = [], cpu_seconds()
    while sum(seconds) < args.seconds:
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    cpu = cpu_seconds() - cpu_before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # before the matrices below
    print(json.dumps(dict(
        matmul_flops_per_cpu_second=matmul_flops_per_cpu_second(args.precision),
        program=f"open_clip {open_clip.__version__} (torch {torch.__version__})",
        images_per_second=args.batch / statistics.median(seconds),
        images_per_cpu_second=args.batch * len(seconds) / cpu,
        peak_memory_bytes=peak)))


def run(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()[-1])


def text_tokens(args):
    return ["--text-tokens", *map(str, args.text_tokens)] if args.text_tokens else []


def ours(args, precision):
    return run([args.clip_train, "bench", "--model", args.models, "--name", args.model, "--precision", precision,
                "--device", "cpu", "--batch", str(args.batch), "--threads", str(args.threads),
                "--seconds", str(args.seconds)] + text_tokens(args))


def theirs(args, precision):
    return run([sys.executable, __file__, "--worker", "--models", args.models, "--model", args.model, "--precision",
                precision, "--batch", str(args.batch), "--threads", str(args.threads), "--seconds", str(args.seconds)]
               + text_tokens(args) + (["--compile"] if args.compile else []))


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def compare(args, precision):
    rounds = []
    for _ in range(args.rounds):
        rounds.append((ours(args, precision), theirs(args, precision)))
    median = lambda side, key: statistics.median(r[side][key] for r in rounds)
    ratio = lambda key: statistics.median(a[key] / b[key] for a, b in rounds)
    flops_per_image = rounds[0][0]["model_flops_per_second"] / rounds[0][0]["images_per_second"]
    fraction = lambda side: statistics.median(
        r[side]["images_per_cpu_second"] * flops_per_image / r[1]["matmul_flops_per_cpu_second"] for r in rounds)
    result = dict(model=args.model, precision=precision, threads=args.threads, batch=args.batch, rounds=args.rounds,
                  text_tokens=rounds[0][0]["text_tokens"], compiled=args.compile,
                  ours=rounds[0][0]["program"], theirs=rounds[0][1]["program"],
                  ours_images_per_second=round(median(0, "images_per_second"), 1),
                  theirs_images_per_second=round(median(1, "images_per_second"), 1),
                  ratio=round(ratio("images_per_second"), 3),
                  ratio_per_cpu_second=round(ratio("images_per_cpu_second"), 3),
                  matmul_gflops_per_cpu_second=round(median(1, "matmul_flops_per_cpu_second") / 1e9),
                  ours_fraction_of_matmul=round(fraction(0), 3), theirs_fraction_of_matmul=round(fraction(1), 3),
                  matrix_library=rounds[0][0]["matrix_library"],
                  ours_peak_mb=round(median(0, "peak_memory_bytes") / 2**20),
                  theirs_peak_mb=round(median(1, "peak_memory_bytes") / 2**20))
    print(json.dumps(result), flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip-train", default="build/dev/bin/clip_train")
    parser.add_argument("--models", default=os.path.join(HERE, "models.json"))
    parser.add_argument("--model", default="clip-32px")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--text-tokens", type=int, nargs=2, metavar=("LEAST", "MOST"))
    parser.add_argument("--precision", choices=["fp32", "bf16", "both"], default="both")
    parser.add_argument("--compile", action="store_true", help="compare with open_clip under torch.compile")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        open_clip_worker(args)
        return
    print(json.dumps(dict(machine=cpu_name(), cores=os.cpu_count())), flush=True)
    for precision in ("fp32", "bf16") if args.precision == "both" else (args.precision,):
        compare(args, precision)


if __name__ == "__main__":
    main()
