"""Live parity with open_clip, CLIP_benchmark and PyTorch: fresh random weights, batches, scores, texts, images and shards.

    parity.py TRAINER_TESTS        (the Catch2 program; CTest label `parity`)
"""
import os
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file

SEEDS = (11, 22, 33)
CONVERT = pathlib.Path(__file__).parents[3] / "scripts/convert-checkpoint"
MAKE_GOLDENS = pathlib.Path(__file__).parents[2] / "data/trainer/make_goldens.py"
MAKE_TOKENIZER_GOLDENS = MAKE_GOLDENS.with_name("make_tokenizer_goldens.py")
MAKE_IMAGE_GOLDENS = MAKE_GOLDENS.with_name("make_image_goldens.py")
MAKE_SHARD_GOLDENS = MAKE_GOLDENS.with_name("make_shard_goldens.py")
TEXTS = "10000"


def check_strict_load(folder, kind, layer_scale):
    """Weights that clip_train wrote load into open_clip with strict=True and give the same function."""
    sys.argv = [str(MAKE_GOLDENS), folder]
    sys.path.insert(0, str(MAKE_GOLDENS.parent))
    import make_goldens
    written = load_file(os.path.join(folder, kind + ".written.safetensors"))
    model = make_goldens.make_model(quick_gelu=False, layer_scale=layer_scale)
    model.load_state_dict(written, strict=True)
    golden = load_file(os.path.join(folder, f"golden_{kind}.safetensors"))
    with torch.no_grad():
        image_features, text_features, _ = make_goldens.forward(model, golden["images"][0], golden["tokens"][0])
    assert (image_features - golden["image_features"]).abs().max() < 1e-6
    assert (text_features - golden["text_features"]).abs().max() < 1e-6


def check_converted_checkpoint(folder):
    """A training checkpoint of open_clip with a text tower of its own, through scripts/convert-checkpoint."""
    import make_goldens
    model = make_goldens.make_model(quick_gelu=False)
    ours = {"visual": "visual.", "logit_scale": "logit_scale"}
    state = {("module." if n.startswith(tuple(ours)) else "module.text.") + n: t for n, t in model.state_dict().items()}
    pt, converted = os.path.join(folder, "epoch_1.pt"), os.path.join(folder, "converted.safetensors")
    torch.save(dict(epoch=1, name="run", state_dict=state), pt)
    subprocess.run([sys.executable, str(CONVERT), pt, converted], check=True, stdout=subprocess.DEVNULL)
    expected = {n.removeprefix("module."): t for n, t in state.items()}
    found = load_file(converted)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[n], expected[n]) for n in found)


def check_accumulation(folder):
    """open_clip_train's --accum-freq k (its loop's arithmetic): gradients are the whole batch's, but the logit scale's is
    k times that. Ours are compared with the whole batch's, the logit scale included, in memory_test.cc."""
    import make_goldens
    from open_clip.loss import ClipLoss
    golden = load_file(os.path.join(folder, "golden_gelu.safetensors"))
    model = make_goldens.make_model(quick_gelu=False)
    model.load_state_dict(load_file(os.path.join(folder, "model_gelu.safetensors")), strict=True)
    images, tokens = make_goldens.normalise(golden["images"][0]), golden["tokens"][0]
    accumulations = 4
    pieces = list(zip(images.chunk(accumulations), tokens.chunk(accumulations)))
    with torch.no_grad():
        cached = [model(*piece)[:2] for piece in pieces]
    for j, piece in enumerate(pieces):
        image_features, text_features, scale = model(*piece)
        fresh = [*cached[:j], (image_features, text_features), *cached[j + 1:]]
        ClipLoss()(torch.cat([f[0] for f in fresh]), torch.cat([f[1] for f in fresh]), scale).backward()
    for name, p in model.named_parameters():
        expected = golden["gradient." + name] * (accumulations if name == "logit_scale" else 1)
        assert (p.grad - expected).abs().max() < 2e-5 * (1 + expected.abs().max()), name


def check_fresh(trainer_tests, tag, script, *arguments):
    """The tests of one tag on goldens that `script` makes now."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(script), folder, *arguments], check=True)
        environment = dict(os.environ, SWEEP_GOLDEN_FOLDER=folder)
        subprocess.run([trainer_tests, tag], check=True, env=environment)


def main(trainer_tests):
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, str(MAKE_GOLDENS), folder, str(seed)], check=True)
            for kind, layer_scale in (("gelu", None), ("layer_scale", 0.3)):
                environment = dict(os.environ, SWEEP_GOLDEN_FOLDER=folder, SWEEP_SAVED_KIND=kind,
                                   SWEEP_SAVED_WEIGHTS=os.path.join(folder, kind + ".written.safetensors"))
                subprocess.run([trainer_tests, "[golden]"], check=True, env=environment)
                check_strict_load(folder, kind, layer_scale)
            check_converted_checkpoint(folder)
            check_accumulation(folder)
        check_fresh(trainer_tests, "[tokenizer_golden]", MAKE_TOKENIZER_GOLDENS, str(seed), TEXTS)
        check_fresh(trainer_tests, "[image_golden]", MAKE_IMAGE_GOLDENS, str(seed))
        check_fresh(trainer_tests, "[shard_golden]", MAKE_SHARD_GOLDENS, str(seed))
        print(f"seed {seed}: equal")


main(sys.argv[1])
