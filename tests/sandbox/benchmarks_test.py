#!/usr/bin/env python3
"""Reference solutions of public benchmarks through the real programs: every one passes, but for those
listed here, each refused for the reason beside it. Needs the folder of WEFT_TEST_DATA."""

import ast
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


def rows_of(path):
    return [json.loads(line) for line in path.read_text().rstrip("\n").split("\n")]


def identity(test):
    return json.dumps({key: test[key] for key in test if key not in ("expected", "compare")})


def literal(value):
    """Python text of a value of docs/formats.md."""
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if not isinstance(value, dict):
        return repr(value)
    tag, body = next(iter(value.items()), ("", None))
    if tag == "$tuple":
        return "(" + "".join(literal(each) + ", " for each in body) + ")"
    if tag in ("$set", "$frozenset"):
        return f"{tag[1:]}({literal(body)})"
    if tag == "$dict":
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in body) + "}"
    if tag == "$float":
        return f"float({body!r})"
    if tag == "$int":
        return body
    if tag == "$complex":
        return f"complex({body[0]}, {body[1]})"
    return "{" + ", ".join(f"{k!r}: {literal(v)}" for k, v in value.items()) + "}"


@unittest.skipUnless(DATA.is_dir(), "WEFT_TEST_DATA is not set")
class Benchmarks(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)

    def count_prepared(self, dataset, file, *flags):
        """Tasks that prepare_tasks records; it leaves out those whose reference fails."""
        out = self.place / "tasks.jsonl"
        done = run("prepare_tasks", "--dataset", dataset, "--in", DATA / file, "--out", out,
                   *flags)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return len(out.read_text().splitlines())

    def test_references_pass_in_call_mode(self):
        self.assertEqual(self.count_prepared("humaneval", "humaneval.jsonl"), 164)
        self.assertEqual(self.count_prepared("mbpp", "mbpp.jsonl"), 974)
        self.assertEqual(self.count_prepared("mbpp", "mbpp_sanitized.jsonl"), 427)

    def prepare(self, dataset, file, *flags):
        self.count_prepared(dataset, file, *flags)
        return rows_of(self.place / "tasks.jsonl")

    def judge(self, rows):
        """The verdicts of rows, in their order."""
        path = self.place / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = run("judge", "--in", path)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]

    def test_answers_that_are_only_the_function_pass(self):
        tasks = {task["id"]: task for task in self.prepare("humaneval", "humaneval.jsonl")}
        rows = []
        for problem in rows_of(DATA / "humaneval.jsonl"):
            task = tasks[problem["task_id"]]
            whole = problem["prompt"] + problem["canonical_solution"]
            lines = whole.split("\n")
            function = next(node for node in ast.parse(whole).body
                            if getattr(node, "name", "") == problem["entry_point"])
            rows.append({"id": task["id"], "code": "\n".join(lines[function.lineno - 1:]),
                         "entry_point": task["entry_point"], "setup": task.get("setup", ""),
                         "mode": "call", "tests": task["tests"]["official"],
                         "limits": {"cpu_ms": 10000, "memory_mb": 1024}})
        verdicts = self.judge(rows)
        self.assertEqual(len(verdicts), 164)
        self.assertEqual([row["id"] for row in verdicts if row["verdict"] != "PASS"], [])

    def test_trivial_answers_earn_next_to_nothing(self):
        """True, False, an echo and the public test's value, taken together, pass val on at most 2 %
        of the tasks: what the augmented tests are for."""
        tasks = self.prepare("mbpp", "mbpp_sanitized.jsonl", "--augment", "10")
        self.assertEqual(len(tasks), 427)
        rows = []
        for task in tasks:
            tests, name = task["tests"], task["entry_point"]
            lists = [identity(test) for part in ("public", "val", "hidden") for test in tests[part]]
            self.assertEqual(len(lists), len(set(lists)), task["id"])
            answers = {"true": f"def {name}(*a, **k): return True",
                       "false": f"def {name}(*a, **k): return False",
                       "echo": f"def {name}(*a, **k): return a[0]",
                       "public": f"def {name}(*a, **k): return "
                                 + literal(tests["public"][0]["expected"])}
            rows += [{"id": f"{task['id']} {answer}", "code": code, "entry_point": name,
                      "mode": "call", "tests": tests["val"]} for answer, code in answers.items()]
        passed = [row["id"] for row in self.judge(rows) if row["verdict"] == "PASS"]
        fooled = {name.split()[0] for name in passed}
        print(f"{len(fooled)} of {len(tasks)} tasks: {passed}")
        self.assertLessEqual(len(fooled), 0.02 * len(tasks), passed)

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

    def test_unit_tests_that_can_be_asked_across_processes_give_tasks(self):
        out = self.place / "bigcodebench.jsonl"
        done = run("prepare_tasks", "--dataset", "bigcodebench", "--out", out,
                   "--in", DATA / "bigcodebench_stdlib_a.jsonl")
        self.assertEqual(done.returncode, 1, done.stderr[-2000:])
        self.assertEqual(len(rows_of(out)), 33)
        self.assertIn("102 rows gave no task", done.stderr)


if __name__ == "__main__":
    unittest.main()
