#!/usr/bin/env python3
"""100,000 random texts through `tokenize` and the `tokenizers` package: the same ids, and the same text
back. The default model's tokenizer, and those that the folder of WEFT_TEST_DATA holds. The package is
that of .venv-convert, where this Python has none."""

import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TOKENIZE = Path(os.environ["WEFT_PROGRAM_DIR"]) / "tokenize"
DATA = Path(os.environ.get("WEFT_TEST_DATA", "nowhere")) / "tokenizers"
TEXTS = 100000
SEED = 20261121

sys.path += map(str, ROOT.glob(".venv-convert/lib/python3*/site-packages"))
try:
    from tokenizers import Tokenizer
except ImportError:
    Tokenizer = None

# First and last code points. Weights make ordinary text the most frequent.
BLOCKS = [
    (12, 0x20, 0x7E), (2, 0x30, 0x39), (2, 0x20, 0x20), (1, 0x09, 0x0D), (1, 0x00, 0x1F),
    (3, 0xA0, 0x24F), (1, 0x300, 0x36F), (2, 0x370, 0x4FF), (1, 0x5D0, 0x6FF), (1, 0x900, 0xDFF),
    (1, 0xE00, 0x11FF), (1, 0x1E00, 0x1FFF), (1, 0x2000, 0x206F), (1, 0x2070, 0x2BFF),
    (2, 0x3000, 0x30FF), (3, 0x4E00, 0x9FFF), (1, 0xAC00, 0xD7A3), (1, 0xE000, 0xFFFD),
    (2, 0x1F300, 0x1FAFF), (1, 0xFE00, 0xFE0F), (1, 0x10000, 0x10FFFF),
]
PIECES = ["'s", "'LL", "  ", "\r\n", "\n\n", "...", "don't", "12345", " the", "\u200d", "def f(x):\n"]


def random_texts(pieces):
    generator = random.Random(SEED)
    weights = [weight for weight, _, _ in BLOCKS]
    for _ in range(TEXTS):
        parts = []
        for weight, first, last in generator.choices(BLOCKS, weights, k=generator.randrange(8)):
            for _ in range(generator.randrange(6)):
                parts.append(chr(generator.randint(first, last)))
            if generator.random() < 0.2:
                parts.append(generator.choice(pieces))
        yield "".join(parts)


def tokenize(model, rows, *options):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    done = subprocess.run([TOKENIZE, "--model", model, *options], check=True, capture_output=True,
                          input=text.encode())
    return [json.loads(line) for line in done.stdout.split(b"\n") if line]


def with_merges_as_pairs(fields):
    """Merges as one text each cannot be told apart where a token holds a space: the package wants
    pairs then."""
    vocab = fields["model"]["vocab"]
    pairs = []
    for merge in fields["model"]["merges"]:
        splits = [(merge[:i], merge[i + 1:]) for i, c in enumerate(merge) if c == " "]
        pairs.append(next([a, b] for a, b in splits if a in vocab and b in vocab and a + b in vocab))
    return {**fields, "model": {**fields["model"], "merges": pairs}}


@unittest.skipUnless(Tokenizer, "no Python package tokenizers")
class RandomText(unittest.TestCase):
    def check(self, path):
        fields = json.loads(path.read_text())
        if isinstance(fields["model"]["merges"][0], str):
            fields = with_merges_as_pairs(fields)
        theirs = Tokenizer.from_str(json.dumps(fields))
        added = [token.content for token in theirs.get_added_tokens_decoder().values()]
        texts = list(random_texts(PIECES + added))
        encoded = theirs.encode_batch(texts)
        ours = tokenize(path, [{"text": text} for text in texts])
        wrong = [text for text, a, b in zip(texts, encoded, ours, strict=True) if a.ids != b["ids"]]
        self.assertEqual(wrong[:3], [], f"{len(wrong)} texts have other ids")
        # With a prepending normaliser the package shows added tokens as normalised, a space before
        # each, which was in no text: they are left out.
        shown = theirs.get_added_tokens_decoder() if fields["normalizer"] else {}
        rows = [{"ids": [id for id in a.ids if id not in shown]} for a in encoded]
        back = tokenize(path, rows, "--decode")
        texts = theirs.decode_batch([row["ids"] for row in rows], skip_special_tokens=False)
        wrong = [(a, b["text"]) for a, b in zip(texts, back, strict=True) if a != b["text"]]
        self.assertEqual(wrong[:3], [], f"{len(wrong)} texts decode to others")

    def test_default_model(self):
        path = ROOT / "models" / "SmolLM2-135M-Instruct" / "tokenizer.json"
        if not path.exists():
            self.skipTest("the default model is absent")
        self.check(path)

    @unittest.skipUnless(DATA.is_dir(), "WEFT_TEST_DATA is not set")
    def test_tokenizers_of_the_data_folder(self):
        files = sorted(DATA.glob("*-tokenizer.json.gz"))
        self.assertTrue(files)
        for file in files:
            with self.subTest(file.name), tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "tokenizer.json"
                path.write_bytes(gzip.decompress(file.read_bytes()))
                self.check(path)


if __name__ == "__main__":
    unittest.main()
