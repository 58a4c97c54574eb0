"""Makes the stored goldens of tests/trainer from the peers' own code.

Run with the environment of scripts/parity-setup:
    .venv-parity/bin/python tests/data/trainer/make_goldens.py [FOLDER [SEED]]
The live parity test (tests/trainer/parity) makes others, with other seeds, into a folder of its own.

The stored files were made with open-clip-torch 3.3.0, clip-benchmark 1.6.2 and torch 2.11.0 on a CPU, one thread.
model_*.safetensors   weights of a tiny open_clip CLIP, as its state_dict
golden_*.safetensors  inputs; features, loss, gradients in fp32; losses of 20 AdamW steps on changing batches
metrics.json          CLIP_benchmark's metrics of random scores
schedule.json         open_clip's cosine and constant schedules
"""
import copy
import json
import pathlib
import sys

import clip_benchmark.metrics.zeroshot_classification as classification
import clip_benchmark.metrics.zeroshot_retrieval as retrieval
import open_clip
import torch
from open_clip.loss import ClipLoss
from open_clip_train.scheduler import const_lr, cosine_lr
from safetensors.torch import save_file

HERE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0
BATCH, STEPS, CONTEXT, VOCABULARY = 8, 20, 10, 24
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
DEVIATION = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


def make_model(quick_gelu):
    torch.manual_seed(SEED)
    model = open_clip.CLIP(
        embed_dim=12,
        vision_cfg=dict(image_size=16, patch_size=8, width=32, layers=2, head_width=16),
        text_cfg=dict(context_length=CONTEXT, vocab_size=VOCABULARY, width=24, heads=3, layers=2),
        quick_gelu=quick_gelu,
    )
    with torch.no_grad():  # biases and gains away from 0 and 1, so that each of them matters
        for name, p in model.named_parameters():
            if p.ndim < 2 and name != "logit_scale":
                p.add_(0.1 * torch.randn_like(p))
    return model


def make_batches(count):
    generator = torch.Generator().manual_seed(SEED + 1)
    images = torch.randint(0, 256, (count, BATCH, 3, 16, 16), generator=generator, dtype=torch.uint8)
    tokens = torch.randint(1, VOCABULARY - 2, (count, BATCH, CONTEXT), generator=generator)
    tokens[:, :, 0] = VOCABULARY - 2
    for c in range(count):
        for b in range(BATCH):
            end = 3 + (c + 3 * b) % (CONTEXT - 3)
            tokens[c, b, end] = VOCABULARY - 1
            tokens[c, b, end + 1:] = 0
    return images, tokens


def normalise(images):
    return (images.float() / 255 - MEAN) / DEVIATION


def forward(model, images, tokens):
    image_features, text_features, scale = model(normalise(images), tokens)
    return image_features, text_features, ClipLoss()(image_features, text_features, scale)


def train(model, images, tokens):
    """open_clip_train's parameter groups, rates, clamp: lr 2e-3, 5 warm-up steps, cosine."""
    exclude = lambda n, p: p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n
    named = list(model.named_parameters())
    groups = [
        dict(params=[p for n, p in named if exclude(n, p)], weight_decay=0.0),
        dict(params=[p for n, p in named if not exclude(n, p)], weight_decay=0.2),
    ]
    optimizer = torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.98), eps=1e-6)
    rate = cosine_lr(optimizer, 2e-3, 5, STEPS)
    losses = []
    for step in range(STEPS):
        rate(step)
        optimizer.zero_grad()
        _, _, loss = forward(model, images[step], tokens[step])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, torch.log(torch.tensor(100.0)))
        losses.append(loss.item())
    return torch.tensor(losses)


def make_model_goldens():
    for kind, quick_gelu in (("gelu", False), ("quick_gelu", True)):
        model = make_model(quick_gelu)
        save_file({n: t.contiguous() for n, t in model.state_dict().items()}, HERE / f"model_{kind}.safetensors")
        images, tokens = make_batches(STEPS)
        golden = dict(images=images, tokens=tokens)
        image_features, text_features, loss = forward(model, images[0], tokens[0])
        loss.backward()
        golden |= dict(image_features=image_features.detach(), text_features=text_features.detach(), loss=loss.detach())
        golden |= {"gradient." + n: p.grad.clone() for n, p in model.named_parameters()}
        model.zero_grad()
        trained = copy.deepcopy(model)
        golden["losses"] = train(trained, images, tokens)
        golden |= {"trained." + n: p.detach() for n, p in trained.named_parameters()}
        save_file(golden, HERE / f"golden_{kind}.safetensors")


def make_metric_goldens():
    generator = torch.Generator().manual_seed(SEED + 2)
    images, captions_per_image, classes = 20, 3, 7
    logits = torch.rand((images, classes), generator=generator).mul(64).round().div(64)
    labels = torch.randint(0, classes, (images,), generator=generator)
    labels[labels == 6] = 0  # a class without images
    for row in logits:  # no ties: torch.topk leaves their order open
        row.add_(torch.randperm(classes, generator=generator) / 1024)
    acc1, acc5 = classification.accuracy(logits, labels, topk=(1, 5))
    recall = classification.balanced_accuracy_score(labels, logits.argmax(1))
    similarity = torch.rand((images * captions_per_image, images), generator=generator)
    positive = torch.zeros_like(similarity, dtype=torch.bool)
    for c in range(images * captions_per_image):
        positive[c, c // captions_per_image] = True
        similarity[c, c // captions_per_image] += 0.3 * torch.rand(1, generator=generator).item()
    expected = {}
    for k in (1, 5, 10):
        expected[f"image_retrieval_recall@{k}"] = (
            (retrieval.recall_at_k(similarity, positive, k) > 0).float().mean().item())
        expected[f"text_retrieval_recall@{k}"] = (
            (retrieval.recall_at_k(similarity.T, positive.T, k) > 0).float().mean().item())
    json.dump(
        dict(
            classification=dict(classes=classes, logits=logits.flatten().tolist(), labels=labels.tolist(),
                                expected=dict(acc1=acc1, acc5=acc5, mean_per_class_recall=float(recall))),
            retrieval=dict(images=images, captions_per_image=captions_per_image,
                           similarity=similarity.flatten().tolist(), expected=expected),
        ),
        open(HERE / "metrics.json", "w"))


def make_schedule_goldens():
    class Recorder:
        param_groups = [dict(lr=0.0)]

    rows = {}
    for name, make in (("cosine", cosine_lr), ("constant", const_lr)):
        rate = make(Recorder, 3e-4, 7, 50)
        rows[name] = [rate(step) for step in range(50)]
    json.dump(dict(learning_rate=3e-4, warmup_steps=7, steps=50, rates=rows), open(HERE / "schedule.json", "w"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_model_goldens()
    make_metric_goldens()
    make_schedule_goldens()
