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
RIVALS = ["io", "io_greedy", "cot"]


def side(rewards, valid=1.0):
    tasks = [{"id": f"p{i}", "rewards": [r, r]} for i, r in enumerate(rewards)]
    return {"reward": sum(rewards) / len(rewards), "valid": valid, "n": len(rewards),
            "tasks": tasks}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def evaluation(grpo_score):
    """Of the rivals io_greedy is the strongest."""
    tasks = {f"t{i}": {"io": 0, "io_greedy": int(i % 3 == 0), "cot": int(i % 5 == 0),
                       "best_fixed": 1, "other_query": 0, "grpo": grpo_score(i)}
             for i in range(NUM_PROMPTS)}
    headlines = [{"method": "grpo", "class": name, "among": among, "words": f"grpo and {name}"}
                 for name, among in (("single_call", RIVALS), ("one_workflow", ["best_fixed"]),
                                     ("other_query", ["other_query"]))]
    methods = [{"name": name, "n": NUM_PROMPTS, "score": 0.0, "ci95": [0.0, 0.088],
                "ci_method": "wilson", "tokens_mean": 100.0, "valid": None, "class": "single_call",
                "reasons": {"no class Workflow": 3} if name == "grpo" else {}}
               for name in (*RIVALS, "best_fixed", "grpo", "other_query")]
    return {"tasks": tasks, "headlines": headlines, "methods": methods, "pairs": [],
            "summary": {"worker": "Small, dequantised from 4 bits", "teachers": ["scripted teacher"]}}


def make_run(folder, gain, control_gain, grpo_score, valid):
    """A finished seed: rewards of `before` spread over the prompts, the others shifted from it."""
    before = [(7 * i % NUM_PROMPTS) / NUM_PROMPTS for i in range(NUM_PROMPTS)]
    weights = {"w_pass": 1.0, "w_complexity": 0.1, "w_diversity": 0.1}
    for stage, shift in (("grpo", gain), ("control", control_gain)):
        after = [min(1.1, max(-0.1, r + shift(i))) for i, r in enumerate(before)]
        write(folder / stage / "before_after.json",
              {"before": side(before, valid), "after": side(after)})
        write(folder / stage / "config.json", {"reward": weights})
        write(folder / stage / "summary.json", {"step": 6})
    write(folder / "evaluate" / "report.json", evaluation(grpo_score))
    (folder / "evaluate" / "report.html").write_text('{"page":"report_tasks/1.html"}')
    write(folder / "search" / "config.json", {"generator": {"kind": "scripted"}})
    spent = dict.fromkeys(("workflows", "generator_calls", "worker_calls", "prompt_tokens",
                           "completion_tokens"), 1)
    write(folder / "search" / "report.json",
          {"scope": "per_query", "spent": spent, "budget": {"workflows": 0, "calls": 0, "tokens": 0}})
    for stage in ("search", "grpo", "control", "evaluate"):
        write(folder / f".{stage}.measured", {"seconds": 10, "peak_mb": 100})
        (folder / f".{stage}.done").touch()


def alternating(size):
    return lambda i: size if i % 2 else -size


def report_of(folder):
    """report.json of a run and what is printed."""
    done = subprocess.run([sys.executable, "-B", ROOT / "scripts" / "quickstart_report.py", folder],
                          capture_output=True, text=True, check=True)
    return json.loads((folder / "report.json").read_text()), done.stdout


class Report(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.run = Path(place.name)

    def make(self, **changes):
        made = {"gain": lambda i: 0.1, "control_gain": alternating(0.1),
                "grpo_score": lambda i: 1, "valid": 0.95} | changes
        make_run(self.run, **made)
        return report_of(self.run)

    def test_says_what_the_worker_is_who_taught_and_what_failed(self):
        report, text = self.make()
        self.assertEqual(report["worker"], "Small, dequantised from 4 bits")
        for words in ("Small, dequantised from 4 bits", "scripted teacher", "grpo and single_call",
                      "grpo: 3 x no class Workflow", "[0.000, 0.088]   wilson"):
            self.assertIn(words, text)

    def test_the_page_finds_those_of_its_tasks(self):
        self.make()
        self.assertEqual((self.run / "report.html").read_text(), '{"page":"evaluate/report_tasks/1.html"}')

    def test_gain_is_paired_by_prompt_and_names_its_interval(self):
        report, _ = self.make(gain=lambda i: 0.05 if i % 2 else 0.03)
        gain = report["grpo"]["gain"]
        self.assertAlmostEqual(gain["reward"], 0.04)
        self.assertEqual((gain["n"], gain["ci_method"], gain["reading"]),
                         (NUM_PROMPTS, "bca", "higher"))
        self.assertLess(gain["ci95"][1] - gain["ci95"][0], 0.01)

    def test_a_gain_whose_interval_holds_zero_is_inconclusive(self):
        report, text = self.make(gain=alternating(0.1))
        self.assertEqual(report["grpo"]["gain"]["reading"], "inconclusive")
        self.assertIn("inconclusive", text)

    def test_equal_rewards_are_no_point(self):
        report, _ = self.make()
        write(self.run / "grpo" / "before_after.json",
              {"before": side([0.0] * 8), "after": side([0.0] * 8)})
        for name in ("before", "after", "gain"):
            low, high = one.reinforcement(self.run, "grpo")[name]["ci95"]
            self.assertGreater(high - low, 0.1)

    def test_prompts_without_a_reward_are_left_out_of_both_sides(self):
        self.make()
        before, after = side([0.1] * 9), side([0.2] * 9)
        before["tasks"][0]["rewards"] = []
        del before["tasks"][8]
        del after["tasks"][1]
        write(self.run / "grpo" / "before_after.json", {"before": before, "after": after})
        found = one.reinforcement(self.run, "grpo")
        self.assertEqual([found[name]["n"] for name in ("before", "after", "gain")], [7, 8, 6])

    def test_a_run_without_any_score_is_told_all_the_same(self):
        self.make()
        empty = evaluation(lambda i: None)
        for method in empty["methods"]:
            method.update(n=0, score=None, ci95=[None, None], ci_method="none", tokens_mean=None)
        write(self.run / "evaluate" / "report.json", empty | {"headlines": []})
        nothing = {"reward": None, "valid": 0.0, "n": 8,
                   "tasks": [{"id": f"p{i}", "rewards": []} for i in range(8)]}
        write(self.run / "grpo" / "before_after.json", {"before": nothing, "after": nothing})
        report, text = report_of(self.run)
        self.assertIn("no interval", text)
        self.assertIsNone(report["grpo"]["gain"]["reward"])


class Seeds(unittest.TestCase):
    def study(self, **changes):
        made = {"gain": lambda i: 0.1, "control_gain": alternating(0.1),
                "grpo_score": lambda i: 1, "valid": 0.95} | changes
        with tempfile.TemporaryDirectory() as name:
            for seed in (1, 2):
                make_run(many.folder(Path(name), seed), **made)
                report_of(many.folder(Path(name), seed))
            return many.study(Path(name), [1, 2])

    def test_claims_are_shown_where_they_hold(self):
        self.assertEqual(set(self.study()["shown"].values()), {True})

    def test_each_claim_can_fail_alone(self):
        for claim, change in (("sft_valid", {"valid": 0.85}),
                              ("grpo_minus_single_call", {"grpo_score": lambda i: i % 3 == 1}),
                              ("grpo_minus_control", {"control_gain": lambda i: 0.1})):
            shown = self.study(**change)["shown"]
            self.assertEqual({name for name, held in shown.items() if not held}, {claim})

    def test_a_gain_that_the_interval_does_not_show_is_none(self):
        self.assertFalse(self.study(gain=alternating(0.1))["shown"]["grpo_gain"])

    def test_the_strongest_of_a_class_is_the_rival(self):
        found = self.study()["estimates"]["grpo_minus_single_call"]
        self.assertEqual(found["against"], "io_greedy")
        self.assertEqual(found["among"], RIVALS)

    def test_the_seeds_of_a_task_are_one_unit(self):
        """Two equal seeds are as much as one: forty tasks, not eighty."""
        found = self.study(grpo_score=lambda i: i % 2)["estimates"]["grpo_minus_single_call"]
        single = one.estimates({"x": {"values": [[i % 2, i % 2] for i in range(NUM_PROMPTS)],
                                      "minus": [[int(i % 3 == 0)] * 2 for i in range(NUM_PROMPTS)]}})
        self.assertEqual(found["n"], NUM_PROMPTS)
        self.assertEqual(found["ci95"], single["x"]["ci95"])

    def test_no_script_computes_an_interval_of_its_own(self):
        for script in (ROOT / "scripts").glob("quickstart*.py"):
            for word in ("random", "resampl", "statistics", "sqrt"):
                self.assertNotIn(word, script.read_text(), script.name)


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
