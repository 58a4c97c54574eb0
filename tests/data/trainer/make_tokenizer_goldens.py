"""Makes the tokenizer's goldens with open_clip's SimpleTokenizer; environment: scripts/parity-setup.

    .venv-parity/bin/python tests/data/trainer/make_tokenizer_goldens.py                       (the stored ones)
    .venv-parity/bin/python tests/data/trainer/make_tokenizer_goldens.py FOLDER SEED COUNT     (live: CLIP's vocabulary)

merges.txt      a vocabulary in CLIP's format: the stored one is small, trained below; the live one is open_clip's file
tokenizer.json  texts, and their ids in a context of 20 tokens (live: 77)

The stored ones were made with open-clip-torch 3.3.0. ftfy, which open_clip calls first, is left out: what it repairs is
counted and printed.
"""
import collections
import gzip
import html.entities
import json
import pathlib
import random
import shutil
import sys
import tempfile

import open_clip.tokenizer

HERE = pathlib.Path(__file__).parent
SMALL_CORPUS = ("a photo of a t-shirt and two coats, a dress top-left, the sandals lower-right, three shirts, sneakers, "
                "ankle boots, a bag's straps, they're the trousers of 1999, é è ü café naïve 東京 東京 😀 😀 Σίσυφος").split()
WORDS = ("photo dress T-Shirt COAT don't we'll I'VE they'RE he'd it'ſ the a of <start_of_text> <end_of_text> <ſtart_of_text> "
         "</w> ΟΔΥΣΣΕΥΣ ΑΣ. ΣΑΣ'Σ İstanbul ﬁne ½ ⅷ ٣٤ १२ 東京 ภาษาไทย עברית العربية naïve cafe\u0301 \u212bngstro\u0308m ß ẞ ǅ "
         "a\u0345b hirx chira oatop phophot sneakoot trousershirt straphoe “quoted” it’s ‘x’ ＦＵＬＬ 👩‍👩‍👧 🇩🇪 ❤️ 1,000.50 a_b x² http://a.b/?q=1&amp;r=2 âœ” cafÃ© don‚Äôt").split()
SPACES = " \t\n\r\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2003\u2028\u202f\u205f\u3000\u200b\ufeff"
BLOCKS = [(0, 0x250), (0x250, 0x800), (0x800, 0x2000), (0x2000, 0x2c00), (0x2c00, 0xd800), (0xe000, 0x11000),
          (0x11000, 0x20000), (0x1f300, 0x1fb00), (0x20000, 0x33500), (0xe0000, 0xe0200), (0xffff0, 0x110000)]


def merges_of(corpus, count):
    """The usual training: the most frequent pair of neighbours is merged, ties to the smaller one."""
    written = open_clip.tokenizer.bytes_to_unicode()
    words = [[written[b] for b in word.lower().encode()] for word in corpus]
    words = [word[:-1] + [word[-1] + "</w>"] for word in words]
    merges = []
    while len(merges) < count:
        pairs = collections.Counter(pair for word in words for pair in zip(word, word[1:]))
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word in words:
            for i in range(len(word) - 1, 0, -1):
                if tuple(word[i - 1:i + 1]) == best:
                    word[i - 1:i + 1] = ["".join(best)]
    return merges


def with_second_way(merges):
    """Appends another way to a symbol that is there already: the later merge gives the id, as in CLIP's own file."""
    a, b, c = next(symbol for symbol in map("".join, merges) if len(symbol) == 3)
    return merges + [(b, c), (a, b + c)]


def entity(rng):
    names = list(html.entities.html5)
    number = rng.choice([rng.randrange(0x300), rng.randrange(0x120000), 0, 13, 128, 159, 0xd800, 0xfffe, 10**12])
    text = rng.choice([rng.choice(names), rng.choice(names).rstrip(";"), f"#{number};", f"#x{number:x}", f"#X{number:X};",
                       "#", "#x", "#xg", ";", "nonsense;", rng.choice(names).rstrip(";") + "x" * rng.randrange(40)])
    return rng.choice(["&", "&", "&amp;", "&amp;amp;"]) + text


def hostile(rng):
    def character():
        return chr(rng.randrange(*rng.choice(BLOCKS)))

    parts = [lambda: rng.choice(WORDS), lambda: rng.choice(WORDS), lambda: entity(rng), lambda: rng.choice(SPACES),
             lambda: "".join(character() for _ in range(rng.randrange(1, 8))), lambda: chr(rng.randrange(32)),
             lambda: str(rng.randrange(10**rng.randrange(1, 12))), lambda: rng.choice("!?.,'\"<>#&;~*-") * rng.randrange(1, 9),
             lambda: "".join(rng.choice("abeilnorstΣσ'") for _ in range(rng.randrange(1, 12)))]
    length = rng.choice([0, 1, 2, 3, 5, 8, 30])
    return "".join(rng.choice(parts)() + rng.choice(["", "", " ", " ", SPACES[rng.randrange(len(SPACES))]]) for _ in range(length))


def hostile_texts(seed, count):
    rng = random.Random(seed)
    fixed = ["", " ", *WORDS, *SMALL_CORPUS]
    return fixed + [hostile(rng) for _ in range(count - len(fixed))]


def main(folder, seed, count, context, merges):
    if merges is None:
        shutil.copy(open_clip.tokenizer.default_bpe(), folder / "merges.txt")
        tokenizer = open_clip.tokenizer.SimpleTokenizer()
    else:  # no newline at the end: open_clip would take an empty merge there
        text = "# a small vocabulary in CLIP's format\n" + "\n".join(map(" ".join, merges))
        (folder / "merges.txt").write_text(text)
        with tempfile.NamedTemporaryFile(suffix=".gz") as file:
            file.write(gzip.compress(text.encode()))
            file.flush()
            tokenizer = open_clip.tokenizer.SimpleTokenizer(file.name)
    texts = hostile_texts(seed, count)
    repaired = tokenizer(texts, context)
    open_clip.tokenizer.ftfy.fix_text = lambda text: text
    ids = tokenizer(texts, context)
    json.dump(dict(context=context, texts=texts, ids=ids.tolist()), open(folder / "tokenizer.json", "w"))
    altered = int((ids != repaired).any(1).sum())
    print(f"{len(texts)} texts, of which ftfy would alter the ids of {altered}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), 77, None)
    else:
        main(HERE, 0, 220, 20, with_second_way(merges_of(SMALL_CORPUS, 110)))
