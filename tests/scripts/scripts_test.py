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


class ImportWorkflows(unittest.TestCase):
    GOOD = (ROOT / "tests" / "fixtures" / "aflow_rows.jsonl").read_bytes().split(b"\n")[0]
    GRAPH = """import workspace.X.template.operator as operator
import workspace.X.round_1.prompt as prompt_custom
class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)
        self.custom = operator.Custom(self.llm)
    async def __call__(%s):
        said = await self.custom(input=problem, instruction=prompt_custom.P)
        return said["response"], 0
"""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.out = self.folder / "out"

    def imports(self, data, *more, form="aflow", out=None):
        source = self.folder / "rows"
        source.write_bytes(data)
        return run(ROOT / "scripts" / "import_workflows.py", "--format", form, "--in", source,
                   "--out", out or self.out, *more)

    def report(self):
        return json.loads((self.out / "report.json").read_text())

    def test_a_line_that_cannot_be_read_is_numbered_and_costs_no_other(self):
        for bad, word in ((b'{"graph":' + b"[" * 100000, "rows:1: not valid JSON: nested too deep"),
                          (b'{"graph":"\xff"}', "rows:1: not valid UTF-8")):
            self.out = self.folder / word[-4:]
            done = self.imports(bad + b"\n" + self.GOOD + b"\n")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(word, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertEqual(self.report()["translated"], 1)

    def test_what_holds_no_workflow_is_refused_in_one_line(self):
        for data, word in ((b"[" * 100000, "nested too deep"), (b"", "at least one workflow"),
                           (b'{"workflows": []}', "at least one workflow"),
                           (b"[" + self.GOOD[:-9], "not valid JSON")):
            self.out = self.folder / "new" / str(len(data))
            done = self.imports(data)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(word, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_what_it_cannot_write_to_is_refused_in_one_line(self):
        file = self.folder / "file"
        file.write_text("x")
        full = self.folder / "full"
        full.mkdir()
        (full / "old.py").write_text("x")
        for out, word in ((file, "which is a file"), (file / "x", "file"), (full, "old.py"),
                          ("/proc/none", "/proc/none")):
            done = self.imports(self.GOOD, out=out)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(word, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertEqual([each.name for each in full.iterdir()], ["old.py"])

    def test_a_temperature_is_a_number_from_0_on(self):
        for text in ("nan", "inf", "-1", "warm"):
            done = self.imports(self.GOOD, f"--temperature={text}")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("--temperature", done.stderr)
            self.assertFalse(self.out.exists())

    def refusals(self, form, rows):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        self.imports(lines.encode(), form=form)
        return [each.get("refused") for each in self.report()["workflows"]]

    def test_what_cannot_be_called_with_a_task_is_refused_by_name(self):
        text = 'P = "Solve it."\n'
        rows = [{"graph": self.GRAPH % arguments, "prompt": text} for arguments in (
            "self, problem", "self, problem, entry_point, more=1", "problem", "self",
            "self, *, problem", "self, problem, *, key", "self, problem, entry_point, more")]
        self.assertEqual(self.refusals("aflow", rows), [
            None, None, "the first argument of __call__ is not self",
            "__call__ has no argument for the task", "__call__ has no argument for the task",
            "__call__ has an argument that only a keyword gives",
            "__call__ needs more than self, the task and its entry point"])
        self.out = self.folder / "adas"
        rows = [{"code": code} for code in (
            "def forward(self, task): return task", "def forward(): return 1",
            "def forward(self, task): yield task", "def forward(self, a, b): return a")]
        self.assertEqual(self.refusals("adas", rows), [
            None, "the first argument of forward is not self", "forward is a generator",
            "forward has more arguments than self and the task"])

    def test_a_prompt_that_is_no_text_is_refused_by_name(self):
        rows = [{"graph": self.GRAPH % "self, problem", "prompt": f"P = {value}\n"} for value in
                ('"a" + "b"', 'f"a"', '"a".strip()', "3", '["a"]', '__import__("os").name')]
        self.assertEqual(self.refusals("aflow", rows), [None] * 3 + ["prompt P is no text"] * 3)


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
