#!/usr/bin/env python3
"""Runs the shell lines of docs/your_own.md against the built programs and looks at the scores."""

import json
import os
import re
import sqlite3
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "tests/fixtures/tiny_llama")
PROGRAMS = Path(os.environ["WEFT_PROGRAM_DIR"])


def shell_lines():
    text = (ROOT / "docs/your_own.md").read_text()
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]


def run(line, place):
    command = line.replace("build/release/bin", str(PROGRAMS)).replace("models/SmolLM2-135M-Instruct", TINY)
    return subprocess.run(command, shell=True, cwd=place, capture_output=True, text=True, timeout=120)


class YourOwn(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        (self.place / "examples").symlink_to(ROOT / "examples")

    def test_the_page_runs_and_scores_as_its_files_say(self):
        lines = shell_lines()
        self.assertEqual(len(lines), 3)
        done = run(lines[0], self.place)
        self.assertEqual(done.returncode, 0, done.stderr)
        results = self.place / "runs/examples/own/results.jsonl"
        rows = [json.loads(line) for line in results.read_text().splitlines()]
        scores = {}
        for row in rows:
            scores.setdefault((row["task"], row.get("rule", "")), []).append(row["score"])
        self.assertEqual(scores[("own/prime", "checker")], [1, 0])
        self.assertEqual(scores[("own/by_size", "")], [1, 0])
        self.assertEqual(scores[("own/orders", "")], [1, 0])
        venus, both = scores[("own/planets", "file")]
        self.assertAlmostEqual(venus, 1 / 3)
        self.assertEqual(both, 1)
        report = json.loads((self.place / "runs/examples/own/report.json").read_text())
        named = [part["scorer"] for part in report["scoring"] if "scorer" in part]
        self.assertEqual(named, ["file:examples/own/scorer.py"])

    def test_the_reward_of_the_page_is_a_term_of_every_row(self):
        done = run(shell_lines()[1], self.place)
        self.assertEqual(done.returncode, 0, done.stderr)
        store = sqlite3.connect(self.place / "runs/examples/own_reward/store.sqlite")
        rows = store.execute("select usage, pass_rate, complexity, diversity, reward, outcome from trajectories").fetchall()
        self.assertGreater(len(rows), 0)
        for usage, passed, complexity, diversity, reward, outcome in rows:
            usage = json.loads(usage)
            if "cached" in usage:
                continue
            tokens = usage["prompt_tokens"] + usage["completion_tokens"]
            own = passed / (1 + tokens / 1000) if outcome == "scored" else -0.5
            self.assertAlmostEqual(usage["reward_file"], own)
            self.assertAlmostEqual(reward, passed - 0.1 * complexity + 0.1 * diversity + own)

    def test_the_workflow_of_the_page_is_right_by_its_tools_alone(self):
        done = run(shell_lines()[2], self.place)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads((self.place / "runs/examples/own_tools/report.json").read_text())
        self.assertEqual([(m["name"], m["n"], m["score"]) for m in report["methods"]], [("lookup", 2, 1.0)])

    def test_a_fault_is_said_before_anything_runs(self):
        (self.place / "broken.py").write_text("def score(answer, task):\n    return answer.size\n")
        line = shell_lines()[0].replace("file:examples/own/scorer.py", "file:broken.py")
        done = run(line, self.place)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("ERROR(AttributeError)", done.stderr)
        self.assertIn("line 2, in score", done.stderr)
        self.assertFalse((self.place / "runs/examples/own/results.jsonl").exists())

    def test_a_run_goes_on_with_its_own_scorer_alone(self):
        scorer = self.place / "mine.py"
        scorer.write_text("def score(answer, task):\n    return answer == task['answer']\n")
        line = shell_lines()[0].replace("file:examples/own/scorer.py", "file:mine.py")
        done = run(line, self.place)
        self.assertEqual(done.returncode, 0, done.stderr)
        again = run(line + " --resume", self.place)
        self.assertEqual(again.returncode, 0, again.stderr)
        scorer.write_text("def score(answer, task):\n    return True\n")
        other = run(line + " --resume", self.place)
        self.assertEqual(other.returncode, 2, other.stderr)
        self.assertIn("scorer", other.stderr)


if __name__ == "__main__":
    unittest.main()
