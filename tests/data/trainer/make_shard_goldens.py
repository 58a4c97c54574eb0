"""Makes shards with Python's tarfile, and what webdataset reads from them; environment: scripts/parity-setup.

    .venv-parity/bin/python tests/data/trainer/make_shard_goldens.py                  (the stored ones, in shards/)
    .venv-parity/bin/python tests/data/trainer/make_shard_goldens.py FOLDER SEED      (live: more and larger ones)

FORMAT.tar     shards in the three tar formats, with names and orders that readers may trip over
samples.json   for each, the captions of the samples that open_clip trains on, in order: those with image and txt
The stored ones were made with webdataset 1.0.2.
"""
import io
import json
import pathlib
import random
import sys
import tarfile

import webdataset

IMAGE_KEYS, FORMATS = "jpg;png;jpeg;webp", dict(ustar=tarfile.USTAR_FORMAT, gnu=tarfile.GNU_FORMAT, pax=tarfile.PAX_FORMAT)
IMAGES = pathlib.Path(__file__).parent / "images"


def key_of(rng, number):
    folder = rng.choice(["", "", "a/", "./b.c/", "deep/" * rng.randrange(20)])
    long_name = "n" * rng.choice([0, 0, 60, 90])
    return f"{folder}{long_name}{number:05}"


def members_of(rng, number):
    extension = rng.choice(["jpg", "png", "webp", "jpeg"])
    image = rng.choice(sorted(IMAGES.glob("*." + extension.replace("jpeg", "jpg")))).read_bytes()
    caption = f"caption {number} é \n".encode()
    members = [(extension, image), ("txt", caption), ("json", b"{}"), ("seg.png", b"no image"), ("cls", b"%d" % (number % 7))]
    kept = [m for m in members if rng.random() < (0.9 if m[0] in (extension, "txt") else 0.4)]
    rng.shuffle(kept)
    return kept


def write_shard(path, form, rng, count):
    with tarfile.open(path, "w", format=form) as tar:
        for number in range(count):
            key = key_of(rng, number)
            if form == tarfile.USTAR_FORMAT:
                key = key[-90:]
            for extension, content in members_of(rng, number):
                info = tarfile.TarInfo(f"{key}.{extension}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))


def captions_of(path):
    dataset = webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)
    wanted = [s for s in dataset if any(k in s for k in IMAGE_KEYS.split(";")) and "txt" in s]
    return [s["txt"].decode() for s in wanted]


def main(folder, seed, count):
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    samples = {}
    for name, form in FORMATS.items():
        write_shard(folder / f"{name}.tar", form, rng, count)
        samples[name] = captions_of(folder / f"{name}.tar")
    json.dump(samples, open(folder / "samples.json", "w"), indent=0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(pathlib.Path(sys.argv[1]) / "shards", int(sys.argv[2]), 400)
    else:
        main(pathlib.Path(__file__).parent / "shards", 0, 10)
