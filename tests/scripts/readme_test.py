#!/usr/bin/env python3
"""Runs the shell lines of README.md against the built programs: what it shows must work."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ["WEFT_PROGRAM_DIR"])
SHOWN_PROGRAMS = "build/release/bin"
MODEL = "models/SmolLM2-135M-Instruct"
CONTEXT = 8192  # of the tiny model that stands in for it: prompts of workers are long
LISTENING = "listening on http://"


def write_model(folder):
    """A tiny model under the name that the lines give, so that they take seconds."""
    shutil.copytree(ROOT / "tests/fixtures/tiny_llama", folder)
    config = json.loads((folder / "config.json").read_text())
    config["max_position_embeddings"] = CONTEXT
    (folder / "config.json").write_text(json.dumps(config))


def shell_lines():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


class Readme(unittest.TestCase):
    def test_names_the_two_commands(self):
        text = (ROOT / "README.md").read_text()
        for command in ("scripts/quickstart.sh", "scripts/test.sh"):
            self.assertIn(f"    {command}\n", text)
            self.assertTrue(os.access(ROOT / command, os.X_OK))

    def test_its_shell_lines_run(self):
        lines = shell_lines()
        self.assertGreaterEqual(len(lines), 10)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            for name in ("configs", "examples"):
                (place / name).symlink_to(ROOT / name)
            write_model(place / MODEL)
            for line in lines:
                command = line.replace(SHOWN_PROGRAMS, str(PROGRAMS))
                if "/serve " in line:
                    self.serve(command, place)
                    continue
                done = subprocess.run(
                    command, shell=True, cwd=place, capture_output=True, text=True, timeout=120
                )
                self.assertEqual(done.returncode, 0, f"{line}\n{done.stderr}")
            self.check_answers(place)

    def serve(self, command, place):
        """A server runs until it is stopped."""
        log = place / "serve.log"
        with log.open("w") as file:
            program = subprocess.Popen([*shlex.split(command), "--set", "port=0"], cwd=place,
                                       stdout=file, stderr=file)  # fmt: skip
        try:
            while LISTENING not in log.read_text() and program.poll() is None:
                time.sleep(0.1)
        finally:
            program.terminate()
        self.assertEqual(program.wait(60), 143, log.read_text())

    def check_answers(self, place):
        def rows(name):
            return [json.loads(line) for line in (place / name).read_text().splitlines()]

        self.assertEqual([row["verdict"] for row in rows("verdicts.jsonl")],
                         ["PASS", "PASS", "WRONG"])  # fmt: skip
        self.assertEqual([len(row["choices"]) for row in rows("completions.jsonl")], [1, 2])
        self.assertEqual([row["kind"] for row in rows("tasks.jsonl")], ["qa", "math", "choice"])
        self.assertEqual(rows("intervals.jsonl")[0]["n"], 8)
        runs = json.loads((place / "runs/examples/workflow_runs/report.json").read_text())
        self.assertEqual([found["missing"] for found in runs["sets"]], [{}])
        report = json.loads((place / "runs/examples/evaluate/report.json").read_text())
        scores = {method["name"]: method["score"] for method in report["methods"]}
        self.assertEqual(list(scores), ["io_greedy", "reviewed", "given"])
        self.assertEqual(scores["given"], 0.5)

    def test_each_example_is_in_a_line_of_it_or_in_what_else_runs_it(self):
        words = "\n".join(shell_lines())
        for name in ("examples/config.json", "docs/your_own.md", "scripts/study.py"):
            words += (ROOT / name).read_text()
        for path in (ROOT / "examples").rglob("*.*"):
            self.assertIn(str(path.relative_to(ROOT)), words)

    def test_the_line_of_each_big_model_resolves(self):
        line = ("collect_traces", "sample_workflows", "train_sft", "train_grpo", "evaluate", "serve")
        for size in ("7b", "14b"):
            config = ROOT / "configs" / f"flowreasoner_{size}.json"
            for name in line:
                trains = name.startswith("train_")
                card = ["--set", "plan.gpu=h200"] if trains else []
                done = subprocess.run([PROGRAMS / name, "--config", config, "--dry-run", *card],
                                      cwd=ROOT, capture_output=True, text=True, timeout=60)
                # The models are not here, which only a plan for a card leaves out of account.
                self.assertEqual(done.returncode, 0 if trains else 2, done.stderr)
                self.assertNotIn("config:", done.stderr)
                told = json.loads(done.stdout)
                if trains:
                    self.assertGreater(told["memory_plan"]["card"]["left"], 0)
                shown = told["config"]
                self.assertIn("DeepSeek-R1-Distill-Qwen", shown["model"])
                if name in ("evaluate", "serve", "train_grpo"):
                    self.assertEqual(shown["worker"]["kind"], "remote")


if __name__ == "__main__":
    unittest.main()
