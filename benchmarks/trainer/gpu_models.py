#!/usr/bin/env python3
"""Training speed of clip_train on one GPU for CLIP's models in bf16, against the rate its matrix products can reach.

    python3 benchmarks/trainer/gpu_models.py --clip-train build/gpu/bin/clip_train --report report.json
    python3 benchmarks/trainer/gpu_models.py --table report.json

Synthetic data on the device, the whole step. `mfu` is model FLOPs a second (of what is computed: no padding, one token
in the last blocks) over the data sheet's dense peak; `of_matmul` the same over a large product measured in the same run.
Where open_clip can be imported, it trains the same model and batch, eager and compiled. Every measurement is a process
of its own, so none finds the GPU's memory held by another; the programs take turns for so many rounds, values are
medians over the rounds and ratios the medians of ours / theirs. `--text-tokens LEAST MOST` adds a row a model whose texts
have so many tokens in place of full ones; open_clip computes the whole context anyway, so its measurement is the same.
On a GPU each row stands once more with its step recorded as a CUDA graph (`--cuda-graphs`), which computes padding too; `mfu`
does not count that.
"""
import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import time

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}  # NVIDIA's data sheets, bf16 dense
# name: (model, batch, clip_train's options); batches that fill an 80 GB GPU without recomputation
MODELS = {
    "ViT-B-32": (dict(embed_dim=512, vision=dict(image_size=224, patch_size=32, width=768, layers=12),
                      text=dict(context_length=77, vocab_size=49408, width=512, heads=8, layers=12)), 1024),
    "ViT-B-16": (dict(embed_dim=512, vision=dict(image_size=224, patch_size=16, width=768, layers=12),
                      text=dict(context_length=77, vocab_size=49408, width=512, heads=8, layers=12)), 512),
    "ViT-L-14": (dict(embed_dim=768, vision=dict(image_size=224, patch_size=14, width=1024, layers=24),
                      text=dict(context_length=77, vocab_size=49408, width=768, heads=12, layers=12)), 128),
    "ViT-H-14": (dict(embed_dim=1024, vision=dict(image_size=224, patch_size=14, width=1280, layers=32, head_width=80),
                      text=dict(context_length=77, vocab_size=49408, width=1024, heads=16, layers=24)), 48),
}


def synchronize(device):
    import torch
    if device == "cuda":
        torch.cuda.synchronize()


def matmul_flops(device):
    """The better of two large square products, dense bf16."""
    import torch
    best = 0
    for side in (4096, 8192) if device == "cuda" else (1024,):
        a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
        for repeat in range(6):
            synchronize(device)
            start = time.perf_counter()
            for _ in range(4):
                a @ b
            synchronize(device)
            if repeat > 1:
                best = max(best, 4 * 2 * side**3 / (time.perf_counter() - start))
    return best


def peak_flops():
    import torch
    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    return next((peak for gpu, peak in PEAKS.items() if gpu in name), None), name


def train_open_clip(spec, batch, device, seconds, compiled):
    """open_clip's model and loss with fused AdamW under autocast; images a second."""
    import open_clip
    import torch
    from open_clip.loss import ClipLoss

    torch.manual_seed(0)
    model = open_clip.CLIP(spec["embed_dim"], spec["vision"], spec["text"]).to(device)
    side, text = spec["vision"]["image_size"], spec["text"]
    images = torch.randn(batch, 3, side, side, device=device)
    tokens = torch.randint(1, text["vocab_size"] - 1, (batch, text["context_length"]), device=device)
    tokens[:, -1] = text["vocab_size"] - 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-6, fused=device == "cuda")
    loss_function, forward = ClipLoss(), torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = loss_function(*forward(images, tokens))
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))

    for _ in range(5):
        step()
    synchronize(device)
    times = []
    while sum(times) < seconds:
        start = time.perf_counter()
        step()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return batch / statistics.median(times)


def answer(question):
    """What a child process does: one measurement, as JSON on the last line of its output."""
    if question["what"] == "machine":
        peak, gpu = peak_flops()
        return dict(peak_flops=peak, gpu=gpu, matmul_flops=matmul_flops(question["device"]))
    spec, _ = MODELS[question["model"]]
    rate = train_open_clip(spec, question["batch"], question["device"], question["seconds"], question["compiled"])
    return dict(images_per_second=rate)


def last_line(done):
    """A finished process's answer, or why it has none."""
    if done.returncode != 0:
        return dict(error=(done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200])
    return json.loads(done.stdout.splitlines()[-1])


def ask(**question):
    return last_line(subprocess.run([sys.executable, os.path.abspath(__file__), "--answer", json.dumps(question)],
                                    capture_output=True, text=True))


def bench(args, models_file, name, batch, text_tokens, graph):
    return last_line(subprocess.run(
        [args.clip_train, "bench", "--model", models_file, "--name", name, "--precision", "bf16", "--device", args.device,
         "--batch", str(batch), "--threads", "1", "--seconds", str(args.seconds)]
        + (["--text-tokens", *map(str, text_tokens)] if text_tokens else []) + (["--cuda-graphs"] if graph else []),
        capture_output=True, text=True))


def measure_model(args, models_file, name, modes):
    """Rows of one model: full texts and, where asked for, shorter ones; each also recorded. All programs take turns."""
    batch = args.batch or MODELS[name][1]
    texts = [None] + ([args.text_tokens] if args.text_tokens else [])
    graphs = (False, True) if args.device == "cuda" else (False,)
    variants = [(text_tokens, graph) for text_tokens in texts for graph in graphs]
    ours, theirs = {i: [] for i in range(len(variants))}, {mode: [] for mode in modes}
    for _ in range(args.rounds):
        for i, (text_tokens, graph) in enumerate(variants):
            ours[i].append(bench(args, models_file, name, batch, text_tokens, graph))
        for mode in modes:
            theirs[mode].append(ask(what="open_clip", model=name, batch=batch, device=args.device, seconds=args.seconds,
                                    compiled=mode == "compiled"))
    return [row_of(name, batch, *variants[i], ours[i], theirs) for i in ours]


def row_of(name, batch, text_tokens, graph, ours, theirs):
    row = dict(model=name, batch=batch, text_tokens_drawn=text_tokens, cuda_graphs=graph, rounds=len(ours))
    failed = [one for one in ours if "error" in one]
    if failed:
        return dict(row, **failed[0])
    rates = [one["images_per_second"] for one in ours]
    row.update(ours[0], images_per_second=statistics.median(rates), rounds_images_per_second=rates,
               model_flops_per_second=statistics.median(one["model_flops_per_second"] for one in ours))
    for mode, rounds in theirs.items():
        failed = [one for one in rounds if "error" in one]
        if failed:  # out of memory, a compiler that is not there: the rest still counts
            row[f"open_clip_{mode}_error"] = failed[0]["error"]
            continue
        their_rates = [one["images_per_second"] for one in rounds]
        row[f"open_clip_{mode}"] = statistics.median(their_rates)
        row[f"rounds_open_clip_{mode}"] = their_rates
        row[f"ratio_{mode}"] = statistics.median(mine / their for mine, their in zip(rates, their_rates))
    return row


def measure(args):
    models_file = args.report + ".models.json"
    with open(models_file, "w") as out:
        json.dump(dict(models={name: spec for name, (spec, _) in MODELS.items()}), out)
    machine = ask(what="machine", device=args.device)
    if "error" in machine:
        sys.exit(f"gpu_models.py: {machine['error']}")
    modes = ("eager", "compiled") if importlib.util.find_spec("open_clip") else ()
    rows = []
    for name in args.models.split(","):
        for row in measure_model(args, models_file, name, modes):
            if "error" not in row:
                flops, peak = row["model_flops_per_second"], machine["peak_flops"]
                row.update(mfu=flops / peak if peak else None, of_matmul=flops / machine["matmul_flops"])
            rows.append(row)
            print(json.dumps(row), flush=True)
    with open(args.report, "w") as out:
        json.dump(dict(device=args.device, open_clip=bool(modes), **machine, rows=rows), out, indent=1)
    os.remove(models_file)
    return 1 if all("error" in row for row in rows) else 0


def table(path):
    report = json.load(open(path))
    print(f"{report['gpu'] or report['device']}: matrix products reach {report['matmul_flops'] / 1e12:.2f} TFLOP/s in bf16\n")
    print("| model | batch | tokens | CUDA graph | images/s | MFU | of the matmul rate | open_clip eager | ratio | torch.compile | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    shown = lambda value, form: "not measured" if value is None else form.format(value)
    for row in report["rows"]:
        drawn = row["text_tokens_drawn"]
        head = (f"| {row['model']} | {row['batch']} | {'{} to {}'.format(*drawn) if drawn else 'all'} | "
                f"{'yes' if row.get('cuda_graphs') else 'no'} | ")
        if "error" in row:
            print(f"{head}{row['error']} | | | | | | |")
            continue
        peers = " | ".join(f"{row[f'open_clip_{mode}']:.1f} | {row[f'ratio_{mode}']:.2f}" if f"ratio_{mode}" in row
                           else f"{row.get(f'open_clip_{mode}_error', 'not measured')} | " for mode in ("eager", "compiled"))
        print(f"{head}{row['images_per_second']:.1f} | {shown(row['mfu'], '{:.1%}')} | {row['of_matmul']:.1%} | {peers} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip-train", default="build/gpu/bin/clip_train")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--batch", type=int, default=0, help="of every model (default: each its own)")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--text-tokens", type=int, nargs=2, metavar=("LEAST", "MOST"))
    parser.add_argument("--report", default="gpu_models.json")
    parser.add_argument("--table", metavar="REPORT", help="print a report as a table")
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.answer:
        print(json.dumps(answer(json.loads(args.answer))))
        return 0
    if args.table:
        table(args.table)
        return 0
    return measure(args)


if __name__ == "__main__":
    sys.exit(main())
