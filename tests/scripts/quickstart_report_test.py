#!/usr/bin/env python3
"""Checks what the quickstart's scripts compute and claim, on run folders made by hand, and what
measure.py keeps."""

import json
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import quickstart_report as one  # noqa: E402
import quickstart_seeds as many  # noqa: E402

NUM_PROMPTS = 40


def side(rewards, valid=1.0):
    tasks = [{"id": f"p{i}", "rewards": [r, r]} for i, r in enumerate(rewards)]
    return {"reward": sum(rewards) / len(rewards), "valid": valid, "n": len(rewards),
            "tasks": tasks}


def make_run(folder, gain, control_gain, grpo_score, valid):
    """A finished seed: rewards of `before` spread over the prompts, the others shifted from it."""
    before = [(7 * i % NUM_PROMPTS) / NUM_PROMPTS for i in range(NUM_PROMPTS)]
    for stage, shift in (("grpo", gain), ("control", control_gain)):
        (folder / stage).mkdir(parents=True)
        after = [r + shift(i) for i, r in enumerate(before)]
        (folder / stage / "before_after.json").write_text(
            json.dumps({"before": side(before, valid), "after": side(after)}))
    tasks = {f"t{i}": {"io": i % 3 == 0, "best_fixed": 1, "other_query": 0, "grpo": grpo_score(i)}
             for i in range(NUM_PROMPTS)}
    (folder / "evaluate").mkdir()
    (folder / "evaluate" / "report.json").write_text(json.dumps({"tasks": tasks}))
    report = {name: one.reinforcement(folder, name) for name in ("grpo", "control")}
    (folder / "report.json").write_text(json.dumps(report))


def alternating(size):
    return lambda i: size if i % 2 else -size


class PooledMean(unittest.TestCase):
    def test_is_exact_where_nothing_varies(self):
        self.assertEqual(one.pooled_mean({"a": [0.25, 0.25], "b": [0.25]}),
                         {"mean": 0.25, "n": 3, "ci95": [0.25, 0.25]})

    def test_draws_whole_prompts(self):
        """Copies of a prompt's value add nothing: the interval stays that of the prompts."""
        single = one.pooled_mean({f"p{i}": [i % 5] for i in range(30)})
        copied = one.pooled_mean({f"p{i}": [i % 5] * 9 for i in range(30)})
        self.assertEqual(single["ci95"], copied["ci95"])
        self.assertEqual(copied["n"], 270)

    def test_interval_is_that_of_the_normal_limit(self):
        values = {f"p{i}": [i % 2] for i in range(400)}
        low, high = one.pooled_mean(values)["ci95"]
        # 1.96 * 0.5 / sqrt(400); the bootstrap's own error with 10,000 draws is below 0.003.
        self.assertAlmostEqual(low, 0.5 - 0.049, delta=0.004)
        self.assertAlmostEqual(high, 0.5 + 0.049, delta=0.004)

    def test_pairs_need_both_sides(self):
        self.assertEqual(one.differences({"a": 1, "b": 2}, {"a": 0.5, "c": 1}), {"a": [0.5]})


class Claims(unittest.TestCase):
    def shown(self, **changes):
        made = {"gain": lambda i: 0.1, "control_gain": alternating(0.1),
                "grpo_score": lambda i: 1, "valid": 0.95} | changes
        with tempfile.TemporaryDirectory() as name:
            for seed in (1, 2):
                make_run(many.folder(Path(name), seed), **made)
            return many.study(Path(name), [1, 2])["shown"]

    def test_are_shown_where_they_hold(self):
        self.assertEqual(set(self.shown().values()), {True})

    def test_each_can_fail_alone(self):
        for claim, change in (("sft_valid", {"valid": 0.85}),
                              ("grpo_gain", {"gain": alternating(0.1)}),
                              ("grpo_minus_io", {"grpo_score": lambda i: i % 3 == 1}),
                              ("control_gain", {"control_gain": lambda i: 0.1})):
            failed = {name for name, held in self.shown(**change).items() if not held}
            self.assertEqual(failed, {claim})


class Measure(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "kept"

    def tearDown(self):
        self.folder.cleanup()

    def command(self, code):
        return [sys.executable, ROOT / "scripts" / "measure.py", self.file, sys.executable, "-c",
                code]

    def test_adds_seconds_and_keeps_the_peak_of_all_processes(self):
        hold = "import time; x = bytearray(%d << 20); time.sleep(1.5)"
        inner = f"import subprocess, sys; y = bytearray(60 << 20); subprocess.run(" \
                f"[sys.executable, '-c', {hold % 80!r}])"
        self.assertEqual(subprocess.run(self.command(inner)).returncode, 0)
        first = json.loads(self.file.read_text())
        self.assertGreater(first["peak_mb"], 140)
        self.assertGreater(first["seconds"], 1.5)
        subprocess.run(self.command("pass"))
        second = json.loads(self.file.read_text())
        self.assertEqual(second["peak_mb"], first["peak_mb"])
        self.assertGreaterEqual(second["seconds"], first["seconds"])

    def test_passes_exit_code_and_sigterm_on(self):
        self.assertEqual(subprocess.run(self.command("raise SystemExit(7)")).returncode, 7)
        wait = "import signal, sys, time\n" \
               "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n" \
               "print('up', flush=True)\ntime.sleep(60)"
        with subprocess.Popen(self.command(wait), stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(20), 143)


if __name__ == "__main__":
    unittest.main()
