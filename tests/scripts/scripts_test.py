#!/usr/bin/env python3
"""Checks of the Python scripts that need the standard library alone."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILTIN = ROOT / "data" / "builtin"
SPLITS = ("train", "validation", "test")


def run(*command):
    return subprocess.run(
        [sys.executable, "-B", *map(str, command)], capture_output=True, text=True
    )


def tasks(split):
    return [json.loads(line) for line in (BUILTIN / f"{split}.jsonl").read_text().splitlines()]


class FetchDefaultModel(unittest.TestCase):
    def refuses(self, gguf, word):
        with tempfile.TemporaryDirectory() as folder:
            done = run(
                ROOT / "scripts" / "fetch_default_model.py", Path(folder) / "out", "--gguf", gguf
            )
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(word, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertEqual(list(Path(folder).iterdir()), [])

    def test_refuses_a_wrong_checksum_and_leaves_nothing(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"not a model")
            file.flush()
            self.refuses(file.name, "SHA-256 mismatch")

    def test_names_a_missing_file(self):
        self.refuses("no_such_file.gguf", "no_such_file.gguf")

    def test_a_directory_of_before_gets_its_label(self):
        sys.path.insert(0, str(ROOT / "scripts"))
        import fetch_default_model as fetch

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for file in fetch.FILES:
                (folder / file).write_text("x")
            record = {**fetch.source_record(), "bytes": {file: 1 for file in fetch.FILES}}
            (folder / "source.json").write_text(json.dumps(record))
            script = ROOT / "scripts" / "fetch_default_model.py"
            self.assertEqual(run(script, folder).returncode, 0)
            self.assertEqual(json.loads((folder / "source.json").read_text()),
                             {**record, "label": "SmolLM2-135M-Instruct, dequantised from 4 bits"})
            self.assertEqual(run(script, folder, "--check").returncode, 0)
            (folder / "config.json").write_text("longer")
            self.assertEqual(run(script, folder, "--check").returncode, 1)


class BuiltinTasks(unittest.TestCase):
    def test_files_are_what_the_tables_give(self):
        done = run(BUILTIN / "make_tasks.py", "--check")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_each_family_is_in_one_split(self):
        families = {split: {task["family"] for task in tasks(split)} for split in SPLITS}
        self.assertGreaterEqual(len(set().union(*families.values())), 32)
        self.assertEqual(sum(map(len, families.values())), len(set().union(*families.values())))

    def test_splits_are_large_enough(self):
        for split, least in (("train", 96), ("validation", 32), ("test", 48)):
            self.assertGreaterEqual(len(tasks(split)), least)
        self.assertGreaterEqual(sum(len(tasks(split)) for split in SPLITS), 160)

    def test_tests_of_a_task_are_disjoint(self):
        for split in SPLITS:
            for task in tasks(split):
                parts = [
                    json.dumps(test["args"])
                    for part in ("public", "val", "hidden")
                    for test in task["tests"][part]
                ]
                self.assertEqual(len(parts), len(set(parts)), task["id"])

    def test_no_trivial_answer_passes_val(self):
        for split in SPLITS:
            for task in tasks(split):
                val = task["tests"]["val"]
                expected = [test["expected"] for test in val]
                self.assertTrue(any(each != expected[0] for each in expected), task["id"])
                self.assertTrue(any(test["args"][:1] != [test["expected"]] for test in val))


if __name__ == "__main__":
    unittest.main()
