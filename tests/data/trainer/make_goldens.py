"""Makes the stored goldens of tests/trainer from the peers' own code.

Run with the environment of scripts/parity-setup:
    .venv-parity/bin/python tests/data/trainer/make_goldens.py [FOLDER [SEED]]
The live parity test (tests/trainer/parity) makes others, with other seeds, into a folder of its own.

The stored files were made with open-clip-torch 3.3.0, clip-benchmark 1.6.2 and torch 2.11.0 on a CPU, one thread.
model_*.safetensors   weights of a tiny open_clip CLIP, as its state_dict; layer_scale: with ls_init_value
golden_*.safetensors  inputs; features, loss, gradients in fp32; losses of 20 AdamW steps on changing batches
metrics.json          CLIP_benchmark's metrics of random scores
schedule.json         open_clip's cosine, constant and constant-then-cooldown schedules
golden_variants.safetensors  of model_gelu: dropped patches, resized images and position embeddings, both losses in fp64,
                             20 steps of AdamW with layer decay and of LAMB (timm), and 100 on given gradients
"""
import copy
import json
import math
import pathlib
import sys

import clip_benchmark.metrics.zeroshot_classification as classification
import clip_benchmark.metrics.zeroshot_retrieval as retrieval
import open_clip
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss, SigLipLoss
from open_clip.model import resize_pos_embed, resize_text_pos_embed
from open_clip_train.scheduler import const_lr, const_lr_cooldown, cosine_lr
from safetensors.torch import save_file
from timm.optim.lamb import Lamb

HERE = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 0
BATCH, STEPS, CONTEXT, VOCABULARY = 8, 20, 10, 24
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
DEVIATION = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


def make_model(quick_gelu, image_size=16, patch_size=8, context=CONTEXT, layer_scale=None):
    torch.manual_seed(SEED)
    model = open_clip.CLIP(
        embed_dim=12,
        vision_cfg=dict(image_size=image_size, patch_size=patch_size, width=32, layers=2, head_width=16,
                        ls_init_value=layer_scale),
        text_cfg=dict(context_length=context, vocab_size=VOCABULARY, width=24, heads=3, layers=2,
                      ls_init_value=layer_scale),
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


def spared(name, p):
    """Parameters that open_clip_train spares weight decay."""
    return p.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name


def adamw(model):
    named = list(model.named_parameters())
    groups = [
        dict(params=[p for n, p in named if spared(n, p)], weight_decay=0.0),
        dict(params=[p for n, p in named if not spared(n, p)], weight_decay=0.2),
    ]
    return torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.98), eps=1e-6)


def layer_of(name, layers=2):
    """EVA-CLIP's numbering: embeddings 0, block i is i + 1, what follows the blocks is layers + 1."""
    if "resblocks." in name:
        return int(name.split("resblocks.")[1].split(".")[0]) + 1
    last = ("visual.ln_post", "visual.proj", "ln_final", "text_projection")
    return layers + 1 if name.startswith(last) else 0


def layer_decay_adamw(model):
    """Image tower: rate x 0.8, layer decay 0.7; text tower x 0.5, 0.6; no decay of positions."""
    groups = []
    for name, p in model.named_parameters():
        scale, decay = (0.8, 0.7) if name.startswith("visual.") else (0.5, 0.6)
        rate = 1.0 if name == "logit_scale" else scale * decay ** (3 - layer_of(name))
        weight_decay = 0.0 if spared(name, p) or "positional" in name or "class" in name else 0.2
        groups.append(dict(params=[p], weight_decay=weight_decay, lr_scale=rate))
    return torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.98), eps=1e-6)


def lamb(model):
    groups = [dict(params=[p], weight_decay=0.0 if spared(n, p) else 0.05) for n, p in model.named_parameters()]
    return Lamb(groups, lr=2e-3, betas=(0.9, 0.98), eps=1e-6, max_grad_norm=None)


def train(model, images, tokens, make_optimizer=adamw):
    """open_clip_train's parameter groups, rates, clamp: lr 2e-3, 5 warm-up steps, cosine."""
    optimizer = make_optimizer(model)
    rate = cosine_lr(optimizer, 2e-3, 5, STEPS)
    losses = []
    for step in range(STEPS):
        rate(step)
        for group in optimizer.param_groups:
            group["lr"] *= group.get("lr_scale", 1.0)
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
    for kind, quick_gelu, layer_scale in (("gelu", False, None), ("quick_gelu", True, None), ("layer_scale", False, 0.3)):
        model = make_model(quick_gelu, layer_scale=layer_scale)
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


class Keep(torch.nn.Module):
    """In place of open_clip's random patch dropout: the class token and the given patches."""

    def __init__(self, kept):
        super().__init__()
        self.kept = kept

    def forward(self, x):
        rows = torch.arange(x.shape[0]).unsqueeze(1)
        return torch.cat([x[:, :1], x[rows, self.kept + 1]], dim=1)


def dropped_patches(images, tokens):
    model = make_model(quick_gelu=False)
    generator = torch.Generator().manual_seed(SEED + 3)
    kept = torch.stack([torch.randperm(4, generator=generator)[:2].sort().values for _ in range(BATCH)])
    model.visual.patch_dropout = Keep(kept)
    image_features, _, loss = forward(model, images, tokens)
    loss.backward()
    return {"kept": kept, "kept.image_features": image_features.detach(), "kept.loss": loss.detach()} | {
        "kept.gradient." + n: p.grad for n, p in model.named_parameters()}


def resized_images():
    model = make_model(quick_gelu=False)
    generator = torch.Generator().manual_seed(SEED + 4)
    images = torch.randint(0, 256, (BATCH, 3, 24, 24), generator=generator, dtype=torch.uint8)
    small = F.interpolate(images.float() / 255, (16, 16), mode="bilinear", antialias=True)
    with torch.no_grad():
        features = model.encode_image((small - MEAN) / DEVIATION, normalize=True)
    return {"large.images": images, "large.image_features": features}


def resized_weights():
    """What open_clip loads into a model of 32 px in patches of 8 and 14 text tokens; and patches of 8 made 4."""
    state = {n: t.clone() for n, t in make_model(quick_gelu=False).state_dict().items()}
    patches = F.interpolate(state["visual.conv1.weight"], (4, 4), mode="bicubic")
    other = make_model(quick_gelu=False, image_size=32, context=14)
    resize_pos_embed(state, other)
    resize_text_pos_embed(state, other)
    other.load_state_dict(state, strict=True)
    return {"resized.visual.positional_embedding": state["visual.positional_embedding"].contiguous(),
            "resized.positional_embedding": state["positional_embedding"].contiguous(),
            "resized.visual.conv1.weight": patches}


def losses():
    """open_clip's losses and gradients in fp64."""
    generator = torch.Generator().manual_seed(SEED + 5)
    golden = {}
    for name, scale, bias in (("softmax", 3.0, None), ("sigmoid", 1.7, -3.0)):
        random = lambda: torch.randn((12, 16), generator=generator, dtype=torch.float64)
        values = dict(images=F.normalize(random(), dim=-1), texts=F.normalize(random(), dim=-1))
        values["scale"] = torch.tensor(scale, dtype=torch.float64)
        if bias is not None:
            values["bias"] = torch.tensor(bias, dtype=torch.float64)
        for value in values.values():
            value.requires_grad_()
        inputs = (values["images"], values["texts"], values["scale"].exp())
        loss = ClipLoss()(*inputs) if bias is None else SigLipLoss()(*inputs, values["bias"])
        loss.backward()
        golden[name + ".loss"] = loss.detach()
        golden |= {f"{name}.{n}": t.detach() for n, t in values.items()}
        golden |= {f"{name}.gradient.{n}": t.grad for n, t in values.items()}
    return golden


def hundred_steps():
    """Weights after 100 steps on gradients that are given: g0 cos(s) + g1 sin(1.3 s) at step s."""
    model = make_model(quick_gelu=False)
    generator = torch.Generator().manual_seed(SEED + 6)
    golden = {}
    for name, p in model.named_parameters():
        golden["g0." + name], golden["g1." + name] = (
            0.1 * torch.randn(p.shape, generator=generator) for _ in range(2))
    for optimizer_name, make_optimizer in (("adamw", adamw), ("lamb", lamb)):
        trained = copy.deepcopy(model)
        optimizer = make_optimizer(trained)
        for step in range(100):
            for name, p in trained.named_parameters():
                p.grad = golden["g0." + name] * math.cos(step) + golden["g1." + name] * math.sin(1.3 * step)
            optimizer.step()
            with torch.no_grad():
                trained.logit_scale.clamp_(0, math.log(100))
        golden |= {f"hundred.{optimizer_name}.{n}": p.detach() for n, p in trained.named_parameters()}
    return golden


def make_variant_goldens():
    images, tokens = make_batches(STEPS)
    golden = dropped_patches(images[0], tokens[0]) | resized_images() | resized_weights() | losses() | hundred_steps()
    for name, make_optimizer in (("layer_decay", layer_decay_adamw), ("lamb", lamb)):
        model = make_model(quick_gelu=False)
        golden[name + ".losses"] = train(model, images, tokens, make_optimizer)
        golden |= {f"{name}.trained.{n}": p.detach() for n, p in model.named_parameters()}
    save_file(golden, HERE / "golden_variants.safetensors")


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
    occurring = labels.unique()
    ordered = logits.double() - 1e-9 * torch.arange(images).unsqueeze(1)  # torch.sort leaves the order of ties open
    precision = classification.average_precision_per_class(ordered, F.one_hot(labels, classes))[occurring].mean()
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
                                expected=dict(acc1=acc1, acc5=acc5, mean_per_class_recall=float(recall),
                                              mean_average_precision=float(precision))),
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
    cooldowns = []
    for power in (1.0, 2.0):
        rate = const_lr_cooldown(Recorder, 3e-4, 7, 50, 20, power, 0.0)
        cooldowns.append(dict(steps=20, power=power, rates=[rate(step) for step in range(50)]))
    json.dump(dict(learning_rate=3e-4, warmup_steps=7, steps=50, rates=rows, cooldowns=cooldowns),
              open(HERE / "schedule.json", "w"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    make_model_goldens()
    make_variant_goldens()
    make_metric_goldens()
    make_schedule_goldens()
