#!/usr/bin/env python3
"""Holds README.md and the pages of docs/ against the tree and the built programs: every path, flag and
config key that they name exists. docs/log.md and docs/benchmarks tell of the past and are left out."""

import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ["WEFT_PROGRAM_DIR"])
NAMES = (
    "analyse_runs", "collect_traces", "estimate", "evaluate", "generate", "judge", "prepare_tasks", "sample_workflows",
    "serve", "tokenize", "train_grpo", "train_sft",
)  # fmt: skip
PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md"))]
MADE = ("build", "models", "runs", "tasks")  # folders that are not in the tree
OTHERS = {"--build", "--install", "--prefix", "--preset"}  # CMake's
# Modules of Python that a page speaks of.
PYTHON = ("re", "os", "string", "sys", "typing", "threading", "ctypes", "asyncio", "gc", "types")
# Dotted names and paths of something else: a stand-in, what --dry-run prints, tensors, replies, Linux'
# settings, a checkpoint.
NO_KEYS = {
    "a.b", "data.time", "exp_avg.layers", "usage.prompt_tokens_details.cached_tokens",
    "user.max_user_namespaces", "kernel.pid_max",
}  # fmt: skip
NO_PATHS = {"trainer/state.json", "trainer/optimizer.safetensors"}
FILES = r"\.(json|jsonl|md|sh|py|cpp|cu|h|txt|sqlite|html|svg|safetensors|so|aside|model|jinja|tex|log)\b"


def pages():
    return {page: (ROOT / page).read_text() for page in PAGES if page != "docs/log.md"}


def code_of(text):
    """What stands in backticks and in blocks of code."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.S)
    rest = re.sub(r"```\w*\n.*?```", "", text, flags=re.S)
    blocks += re.findall(r"^    .*$", rest, re.M)
    return [*blocks, *re.findall(r"`([^`\n]+)`", rest)]


def help_of(name):
    return subprocess.run([PROGRAMS / name, "--help"], capture_output=True, text=True, check=True,
                          timeout=60).stdout  # fmt: skip


def keys_of(text):
    """Dotted paths of the config keys in a program's help."""
    keys, path = set(), []
    for line in text.split("Config keys")[1].splitlines()[1:]:
        found = re.match(r"( +)([a-z]\w*)", line)
        if not found:
            continue
        depth = len(found[1]) // 2
        path = [*path[: depth - 1], found[2]]
        keys.add(".".join(path))
    return keys


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        helps = [help_of(name) for name in NAMES]
        cls.keys = set().union(*(keys_of(text) for text in helps))
        scripts = [path.read_text() for path in (ROOT / "scripts").rglob("*") if path.is_file()]
        cls.flags = set(re.findall(r"--[a-z][a-z-]+", "\n".join(helps + scripts))) | OTHERS

    def is_key(self, words):
        return any(key == words or key.endswith("." + words) for key in self.keys)

    def test_flags_exist(self):
        for page, text in pages().items():
            for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(code_of(text))):
                self.assertIn(flag, self.flags, page)

    def test_config_keys_exist(self):
        num = 0
        for page, text in pages().items():
            for code in code_of(text):
                for words in re.findall(r"(?<![\w./'\"])([a-z_]\w*(?:\.[a-z_]\w*)+)(?![\w/(*-])", code):
                    if re.search(FILES, words) or words.split(".")[0] in PYTHON:
                        continue
                    if words in NO_KEYS:
                        continue
                    num += 1
                    self.assertTrue(self.is_key(words), f"{page}: {words} is no config key: {code}")
                for words in set(re.findall(r"--set '?([\w.]+)=", code)) - NO_KEYS:
                    self.assertTrue(self.is_key(words), f"{page}: {words} is no config key: {code}")
        self.assertGreater(num, 20)

    def test_paths_exist(self):
        rooms = {path.name for path in ROOT.iterdir() if path.is_dir()} - set(MADE)
        num = 0
        for page, text in pages().items():
            words = re.findall(r"[\w.*-]+(?:/[\w.*-]+)*/?", "\n".join(code_of(text)))
            words += re.findall(r"\]\(([^)#:]+)", text)
            for word in words:
                is_test = re.search(r"/[A-Z]\w*\.[A-Z]\w*$", word)  # a case of CTest
                if "/" not in word or word.split("/")[0] not in rooms or is_test or word in NO_PATHS:
                    continue
                num += 1
                pattern = word.rstrip("/.").replace("NNN", "*")
                self.assertTrue(any(ROOT.glob(pattern)), f"{page} names {word}")
        self.assertGreater(num, 50)

    def test_files_of_papers_are_in_the_folder_before_them(self):
        num = 0
        for row in (ROOT / "docs/papers.md").read_text().splitlines():
            folder = None
            for word in re.findall(r"`([\w/]+\.(?:h|cpp|py))`", row):
                nested = folder is not None and (ROOT / folder / word).exists()
                path = Path(folder, word) if nested else Path(word)
                self.assertTrue((ROOT / path).exists(), f"{word} in: {row}")
                if "/" in word and not nested:
                    folder = path.parent
                num += nested
        self.assertGreater(num, 20)


if __name__ == "__main__":
    unittest.main()
