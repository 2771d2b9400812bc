#!/usr/bin/env python3
"""Checks how quickstart.sh leads its stages, with stand-ins for the programs that only note how they
were called: stages, --resume, exit codes and signals, not results."""

import os
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "scripts" / "quickstart.sh"

# A first search that lasts until it is told to stop, the first time, a second one that ends at once,
# and a train_sft that fails.
SEARCH = """#!/usr/bin/env bash
echo "search $*" >> "$NOTES"
while [ $# -gt 0 ]; do [ "$1" = --out ] && out=$2; shift; done
[ -f "$out/config.json" ] && exit 0
case $out in *_task_level) exit 0 ;; esac
mkdir -p "$out" && touch "$out/config.json"
trap 'exit 143' TERM
while :; do sleep 0.05; done
"""
SFT = """#!/usr/bin/env bash
echo "sft $*" >> "$NOTES"
exit 1
"""


class Quickstart(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        self.out = self.place / "out"
        for name, text in (("sample_workflows", SEARCH), ("train_sft", SFT)):
            program = self.place / name
            program.write_text(text)
            program.chmod(0o755)
        self.environment = dict(os.environ, WEFT_PROGRAM_DIR=str(self.place),
                                NOTES=str(self.place / "notes"))

    def start(self, *arguments):
        return subprocess.Popen([QUICKSTART, "--out", "out", *arguments], env=self.environment,
                                cwd=self.place, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True)

    def call(self, *arguments):
        process = self.start(*arguments)
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors

    def notes(self):
        path = self.place / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def interrupt_search(self, number):
        process = self.start("--seed", "7")
        while not (self.out / "search" / "config.json").exists():
            self.assertIsNone(process.poll())
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate(timeout=60)
        return process.returncode

    def test_a_stopped_stage_goes_on_with_resume(self):
        self.assertEqual(self.interrupt_search(signal.SIGTERM), 143)
        self.assertFalse((self.out / ".search.done").exists())
        code, _ = self.call("--seed", "7")
        first, second, task_level, sft = self.notes()
        self.assertIn("--set seed=7", first)
        self.assertNotIn("--resume", first)
        self.assertIn("--resume", second)
        self.assertIn("--section search_task_level", task_level)
        self.assertIn(f"data.store={self.out}/search/store.sqlite", sft)
        self.assertEqual(code, 1, "train_sft's exit code")
        self.assertTrue((self.out / ".search.done").exists())
        self.assertFalse((self.out / ".sft.done").exists())

    def test_an_interrupt_ends_the_stage_too(self):
        self.assertEqual(self.interrupt_search(signal.SIGINT), 130)
        self.assertEqual(len(self.notes()), 1)

    def test_refuses_the_folder_of_another_seed(self):
        self.interrupt_search(signal.SIGTERM)
        code, errors = self.call("--seed", "8")
        self.assertEqual(code, 2)
        self.assertIn("holds a run of seed 7", errors)

    def test_names_wrong_arguments(self):
        for arguments, word in ((["--seed"], "--seed wants a value"), (["--sed", "1"], "--sed"),
                                (["--config", "none.json"], "none.json")):
            code, errors = self.call(*arguments)
            self.assertEqual(code, 2)
            self.assertIn(word, errors)
            self.assertEqual(len(errors.splitlines()), 1)
        self.assertEqual(self.notes(), [])

    def test_help_is_the_head_of_the_script(self):
        process = self.start("--help")
        shown, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertIn("--controls", shown)


if __name__ == "__main__":
    unittest.main()
