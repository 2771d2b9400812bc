#!/usr/bin/env python3
"""Runs the shell lines of README.md against the built programs: what it shows must work."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ["WEFT_PROGRAM_DIR"])
SHOWN_PROGRAMS = "build/release/bin"
TEXT = {"text": "Hello"}
PROMPT = {"id": "a", "prompt": "Hello", "max_tokens": 4}
CANDIDATE = {
    "id": "a",
    "code": "def f(x): return 2 * x",
    "entry_point": "f",
    "mode": "call",
    "tests": [{"args": [2], "expected": 4}],
}


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
        self.assertGreaterEqual(len(lines), 5)
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            for name in ("models", "configs"):
                (place / name).symlink_to(ROOT / name)
            (place / "texts.jsonl").write_text(json.dumps(TEXT) + "\n")
            (place / "prompts.jsonl").write_text(json.dumps(PROMPT) + "\n")
            (place / "candidates.jsonl").write_text(json.dumps(CANDIDATE) + "\n")
            for line in lines:
                command = line.replace(SHOWN_PROGRAMS, str(PROGRAMS))
                done = subprocess.run(
                    command, shell=True, cwd=place, capture_output=True, text=True, timeout=120
                )
                self.assertEqual(done.returncode, 0, f"{line}\n{done.stderr}")
            verdict = json.loads((place / "verdicts.jsonl").read_text())
            self.assertEqual(verdict["verdict"], "PASS")

    def test_the_line_of_each_big_model_resolves(self):
        line = ("collect_traces", "sample_workflows", "train_sft", "train_grpo", "evaluate", "serve")
        for size in ("7b", "14b"):
            config = ROOT / "configs" / f"flowreasoner_{size}.json"
            for name in line:
                trains = name.startswith("train_")
                card = ["--set", "plan.gpu=h200"] if trains else []
                done = subprocess.run([PROGRAMS / name, "--config", config, "--dry-run", *card],
                                      cwd=ROOT, capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                told = json.loads(done.stdout)
                if trains:
                    self.assertGreater(told["memory_plan"]["card"]["left"], 0)
                shown = told["config"]
                self.assertIn("DeepSeek-R1-Distill-Qwen", shown["model"])
                if name in ("evaluate", "serve", "train_grpo"):
                    self.assertEqual(shown["worker"]["kind"], "remote")


if __name__ == "__main__":
    unittest.main()
