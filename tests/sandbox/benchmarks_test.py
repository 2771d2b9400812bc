#!/usr/bin/env python3
"""Reference solutions of public benchmarks through the real programs: every one passes, but for those
listed here, each refused for the reason beside it. Needs the folder of WEFT_TEST_DATA."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

PROGRAMS = Path(os.environ["WEFT_PROGRAM_DIR"])
DATA = Path(os.environ.get("WEFT_TEST_DATA", "nowhere")) / "benchmarks"

# The reference or its tests start programs or processes, which a job may not.
STARTS_PROGRAMS = {f"BigCodeBench/{n}" for n in (14, 16, 346, 350, 785)}  # subprocess
STARTS_PROCESSES = {f"BigCodeBench/{n}" for n in (205, 363)}  # multiprocessing
NEEDS_TKINTER = {"BigCodeBench/220"}  # turtle; Debian has it in python3-tk

# Runs the unit tests of the text before it, all of them, and fails with the first failure's end.
RUN_UNIT_TESTS = """
import unittest
suite = unittest.defaultTestLoader.loadTestsFromTestCase(TestCases)
result = unittest.TestResult()
suite.run(result)
assert result.testsRun == suite.countTestCases() > 0, result.testsRun
for _, text in result.failures + result.errors:
    raise AssertionError(text[-600:])
"""


def run(program, *arguments):
    return subprocess.run([PROGRAMS / program, *arguments], check=False, capture_output=True,
                          text=True)


@unittest.skipUnless(DATA.is_dir(), "WEFT_TEST_DATA is not set")
class Benchmarks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)

    def count_prepared(self, dataset, file):
        """Tasks that prepare_tasks records; it leaves out those whose reference fails."""
        out = self.place / "tasks.jsonl"
        done = run("prepare_tasks", "--dataset", dataset, "--in", DATA / file, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return len(out.read_text().splitlines())

    def test_references_pass_in_call_mode(self):
        self.assertEqual(self.count_prepared("humaneval", "humaneval.jsonl"), 164)
        self.assertEqual(self.count_prepared("mbpp", "mbpp.jsonl"), 974)
        self.assertEqual(self.count_prepared("mbpp", "mbpp_sanitized.jsonl"), 427)

    def judge_bigcodebench(self):
        rows = self.place / "rows.jsonl"
        with rows.open("w") as file, (DATA / "bigcodebench_stdlib_a.jsonl").open() as tasks:
            for task in map(json.loads, tasks):
                file.write(json.dumps({
                    "id": task["task_id"],
                    "code": task["complete_prompt"] + task["canonical_solution"],
                    "entry_point": task["entry_point"],
                    "mode": "inproc",
                    "tests": [{"code": task["test"] + RUN_UNIT_TESTS}],
                    "limits": {"cpu_ms": 10000, "memory_mb": 1024, "scratch_mb": 64},
                }) + "\n")
        done = run("judge", "--set", "allow_inproc=true", "--in", rows)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]

    def test_unit_tests_pass_but_for_those_that_start_processes(self):
        verdicts = self.judge_bigcodebench()
        self.assertEqual(len(verdicts), 135)
        self.assertEqual({row["integrity"] for row in verdicts}, {"weak"})
        failed = {row["id"]: row["tests"][0] for row in verdicts if row["verdict"] != "PASS"}
        self.assertEqual(failed.keys() - NEEDS_TKINTER, STARTS_PROGRAMS | STARTS_PROCESSES)
        for name, test in failed.items():
            reason = ("_fork_exec" if name in STARTS_PROGRAMS else
                      "_multiprocessing.SemLock" if name in STARTS_PROCESSES else
                      "No module named 'tkinter'")
            self.assertIn(reason, test["detail"], name)


if __name__ == "__main__":
    unittest.main()
