"""Makes the goldens of image decoding and resizing with PIL and torchvision; environment: scripts/parity-setup.

    .venv-parity/bin/python tests/data/trainer/make_image_goldens.py                  (the stored ones, in images/)
    .venv-parity/bin/python tests/data/trainer/make_image_goldens.py FOLDER SEED      (live: more and larger ones)

The pictures are coloured mosaics of Fashion-MNIST's test images (Debian's dataset-fashion-mnist). For each NAME.EXT:
NAME.ppm          its pixels, by Image.convert("RGB")
NAME.eval.ppm     open_clip's transform for evaluation at 24 pixels, before it becomes numbers
NAME.crop.ppm     the part from 1/8 to 7/8 of each side, resized to 20 x 20, bicubic
Pillow 13 resizes rows or columns first, whichever is cheaper; these goldens are of the rows first, which older versions
always did. The difference, from rounding to bytes in between, is printed.
The stored ones were made with Pillow 13.0.0, torchvision 0.26.0 and open-clip-torch 3.3.0.
"""
import gzip
import pathlib
import random
import sys

import numpy as np
import open_clip.transform
from PIL import Image

FASHION = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"
ITEMS = np.frombuffer(gzip.open(FASHION).read()[16:], np.uint8).reshape(-1, 28, 28)
EVAL_SIDE, CROP_SIDE = 24, 20


def mosaic(rng, width, height):
    rows, columns = -(-height // 28), -(-width // 28)
    tiles = [[np.stack([ITEMS[rng.randrange(len(ITEMS))] for _ in range(3)], -1) for _ in range(columns)]
             for _ in range(rows)]
    return Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in tiles], 0)[:height, :width])


def with_alpha(image):
    image = image.convert("RGBA")
    image.putalpha(image.getchannel("R").point(lambda v: v // 2))
    return image


FORMATS = {
    "baseline.jpg": lambda i: (i, dict(quality=90)),
    "progressive.jpg": lambda i: (i, dict(quality=75, progressive=True, subsampling=0)),
    "grey.jpg": lambda i: (i.convert("L"), dict(quality=85)),
    "ink.jpg": lambda i: (i.convert("CMYK"), dict(quality=95)),
    "plain.png": lambda i: (i, {}),
    "alpha.png": lambda i: (with_alpha(i), {}),
    "grey.png": lambda i: (i.convert("L"), {}),
    "grey_alpha.png": lambda i: (with_alpha(i).convert("LA"), {}),
    "palette.png": lambda i: (i.quantize(32), dict(transparency=3)),
    "one_bit.png": lambda i: (i.convert("1"), {}),
    "lossy.webp": lambda i: (i, dict(quality=80)),
    "lossless.webp": lambda i: (i, dict(lossless=True)),
    "alpha.webp": lambda i: (with_alpha(i), dict(lossless=True, exact=True)),
}


resize_in_any_order = Image.Image.resize
differences = []


def resize_rows_first(image, size, resample=None, *others):
    columns = resize_in_any_order(image, (size[0], image.height), resample)
    result = resize_in_any_order(columns, size, resample)
    pillow = resize_in_any_order(image, size, resample)
    differences.append(np.abs(np.asarray(result, int) - np.asarray(pillow, int)))
    return result


def write(folder, name, image, options):
    path = folder / name
    image.save(path, **options)
    rgb = Image.open(path).convert("RGB")
    stem = name.replace(".", "_")
    rgb.save(folder / f"{stem}.ppm")
    resize, crop = open_clip.transform.image_transform(EVAL_SIDE, is_train=False).transforms[:2]
    crop(resize(rgb)).save(folder / f"{stem}.eval.ppm")
    w, h = rgb.size
    part = rgb.crop((w // 8, h // 8, w - w // 8, h - h // 8))
    part.resize((CROP_SIDE, CROP_SIDE), Image.BICUBIC).save(folder / f"{stem}.crop.ppm")


def main(folder, seed, sizes):
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    Image.Image.resize = resize_rows_first
    for width, height, names in sizes(rng):
        for name in names:
            write(folder, f"{width}x{height}_{name}", *FORMATS[name](mosaic(rng, width, height)))
    largest, mean = max(d.max() for d in differences), np.mean([d.mean() for d in differences])
    print(f"{len(differences)} resizes: Pillow's own order differs by at most {largest}, on average by {mean:.3f} of 255")


def live_sizes(rng):
    some = [(rng.randrange(8, 60), rng.randrange(8, 60)) for _ in range(8)]
    return [(*size, FORMATS) for size in some + [(24, 24), (25, 24), (640, 333), (300, 901)]]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(pathlib.Path(sys.argv[1]) / "images", int(sys.argv[2]), live_sizes)
    else:  # the second has a margin of 1.5 pixels, which is rounded to even
        main(pathlib.Path(__file__).parent / "images", 0, lambda rng: [(61, 38, FORMATS), (54, 48, ["plain.png"])])
