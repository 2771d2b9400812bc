#!/usr/bin/env python3
"""Checks what study.py chooses, runs and claims, with stand-ins for prepare_tasks and evaluate; intervals
come from the real `estimate`."""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import study  # noqa: E402

NUM_TASKS = 24
GRAPH = """import workspace.X.template.operator as operator
import workspace.X.round_1.prompt as prompt_custom
class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)
        self.custom = operator.%s(self.llm)
    async def __call__(self, problem, entry_point):
        said = await self.custom(input=problem, instruction="")
        return said["response"], 0
"""

PREPARE = """#!/usr/bin/env python3
import json, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
with open(given["--out"], "w") as file:
    for i in range(%d):
        test = {"args": [i], "expected": i}
        tests = {"public": [test], "official": [test, {"args": [0], "expected": 0}]}
        file.write(json.dumps({"id": f"{given['--dataset']}/{i}", "tests": tests}) + "\\n")
"""

# Fails as long as `broken` lies beside it; scores by method and task: io_greedy solves every third task,
# choose all, review none, others every second one.
EVALUATE = """#!/usr/bin/env python3
import json, sys
from pathlib import Path
here, words = Path(__file__).parent, sys.argv[1:]
with open(here / "notes", "a") as file:
    file.write(" ".join(words) + "\\n")
out = Path(words[words.index("--out") + 1])
out.mkdir(parents=True, exist_ok=True)
sets = dict(word.split("=", 1) for flag, word in zip(words, words[1:]) if flag == "--set")
(out / "config.json").write_text(json.dumps({
    "runner": {"worker": {"max_tokens": 50}}, "cot_sc_samples": 3, "seed": 0, "dtype": "auto",
    "cot_temperature": float(sets["cot_temperature"])}))
if (here / "broken").exists():
    sys.exit(143)
names = [each.split("=")[0] for each in json.loads(sets["methods"])]
ids = [json.loads(line)["id"] for line in Path(sets["tasks"]).read_text().splitlines()]
solves = {"io_greedy": lambda i: i % 3 == 0, "choose": lambda i: True, "review": lambda i: False}
scores = {each: {name: int(solves.get(name, lambda i: i % 2)(i)) for name in names}
          for i, each in enumerate(ids)}
def mean(name):
    return sum(row[name] for row in scores.values()) / len(ids)
reading = lambda d: "higher" if d > 0.5 else "lower" if d < -0.2 else "inconclusive"
(out / "report.json").write_text(json.dumps({
    "summary": {"worker": "Small worker"}, "tasks": scores, "cache": {"asked": 9, "replies": 3},
    "methods": [{"name": name, "n": len(ids), "score": mean(name), "ci95": [0, 1], "ci_method": "wilson",
                 "calls_mean": 1.5, "worker_tokens_mean": 321.0, "workflow_errors": 1, "infra_errors": 0,
                 "errors": {"limit": {"TIME_CPU": 1}} if name == "cot" else {}} for name in names],
    "pairs": [{"a": a, "b": b, "n": len(ids), "diff": mean(a) - mean(b), "ci95": [-1, 1],
               "reading": reading(mean(a) - mean(b)), "mcnemar": {"only_a": 7, "only_b": 2, "p": 0.0123},
               "detectable": 0.25} for j, a in enumerate(names) for b in names[:j]]}))
calls = [{"kind": "call_llm", "texts": ["x"], "completion_tokens": each} for each in (50, 10)]
calls += [{"kind": "call_llm", "texts": ["x", "y"], "completion_tokens": 99}, {"kind": "exec_code"}]
(out / "traces.jsonl").write_text(json.dumps({"method": "io_greedy", "calls": calls}) + "\\n")
(out / "usage.json").write_text('{"decoded_tokens": 4321}')
"""

MEANS = {1: 0.5, 2: 0.7, 3: 0.7, 4: 0.9}  # of rounds; the fourth cannot be translated


def rows_of(dataset):
    for number, mean in MEANS.items():
        yield {"dataset": dataset, "kind": "graphs", "round": str(number), "prompt": "", "mean_score": str(mean),
               "graph": GRAPH % ("Nothing" if number == 4 else "Custom")}
    yield {"dataset": dataset, "kind": "graphs_test", "round": "3", "prompt": "", "mean_score": "0.95",
           "graph": GRAPH % "Custom"}


def runs(dataset):
    """Round 1 solves every fourth pair of queries, round 2 every second one, round 3 none, round 4 all."""
    steps = {1: 4, 2: 2, 3: 100, 4: 1}
    return {"dataset": dataset, "runs": [
        {"workflow": number, "run": run, "scores": {str(i): int((i // 2 + 1) % step == 0) for i in range(40)}}
        for number, step in steps.items() for run in range(3)]}


class Study(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        self.out, self.pages = self.place / "out", self.place / "pages"
        self.write("model/config.json", "{}")
        for name in study.FILES.values():
            self.write(f"data/benchmarks/{name}", "{}\n")
        self.write("data/teacher/aflow_discovered_workflows.jsonl", "".join(
            json.dumps(row) + "\n" for dataset in study.BENCHMARKS for row in rows_of(dataset)))
        for dataset, name in study.BENCHMARKS.items():
            path = self.place / f"data/workflow_runs/{name}.json.gz"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(json.dumps(runs(dataset)).encode()))
        for name, text in (("prepare_tasks", PREPARE % NUM_TASKS), ("evaluate", EVALUATE)):
            self.write(f"bin/{name}", text).chmod(0o755)
        (self.place / "bin/estimate").symlink_to(Path(os.environ["WEFT_PROGRAM_DIR"]).resolve() / "estimate")

    def write(self, name, text):
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def study(self, *more):
        return subprocess.run(
            [sys.executable, "-B", ROOT / "scripts" / "study.py", "--model", "model", "--data", "data", "--out",
             self.out, "--report", self.pages, *more], cwd=self.place, capture_output=True, text=True,
            env=dict(os.environ, WEFT_PROGRAM_DIR=str(self.place / "bin")))  # fmt: skip

    def made(self, *more):
        """(report, page) of a whole study."""
        done = self.study("--tasks", "8", *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        (report,), (page,) = self.pages.glob("*-workflows.json"), self.pages.glob("*-workflows.md")
        return json.loads(report.read_text()), page.read_text()

    def notes(self):
        return (self.place / "bin/notes").read_text().splitlines()

    def test_tasks_are_evenly_spaced_from_the_first_on(self):
        self.made()
        lines = (self.out / "MBPP/tasks.jsonl").read_text().splitlines()
        self.assertEqual([json.loads(line)["id"] for line in lines], [f"mbpp/{i}" for i in range(0, 24, 3)])
        self.assertEqual(study.evenly([1, 2], 60), [1, 2])

    def test_the_best_round_is_the_earliest_validated_one_that_can_be_imported(self):
        report, _ = self.made()
        for dataset, each in report["sets"].items():
            self.assertEqual(each["aflow"]["rounds"], {"aflow_first": 1, "aflow_best": 2})
            self.assertIn(f"aflow_best=workflow:{self.out}/aflow/{dataset}_graphs_2.py", "\n".join(self.notes()))

    def test_their_best_is_also_scored_on_queries_that_did_not_choose_it(self):
        """On either half of four queries another workflow is the best, and fails on the other half."""
        one, two = {"1": [1], "2": [0], "3": [1], "4": [0]}, {"1": [0], "2": [1], "3": [0], "4": [1]}
        self.assertEqual(study.chosen_elsewhere({1: one, 2: two}, ["1", "2", "3", "4"]),
                         {query: [0] for query in "1234"})
        their = self.made()[0]["sets"]["MBPP"]["aflow"]
        self.assertEqual([their[key]["mean"] for key in ("aflow_first", "aflow_best")], [0.25, 0.5])
        self.assertAlmostEqual(their["gain"]["mean"], 0.25)
        self.assertEqual((their["gain"]["n"], their["gain"]["reading"]), (40, "higher"))

    def test_the_page_tells_what_the_files_say(self):
        report, page = self.made()
        self.assertEqual(list(report["sets"]), ["HumanEval", "MBPP"])
        for words in ("Worker: Small worker", "8 of the 24 tasks", "2.0 official tests and 1.0 public ones",
                      "| `io_greedy` | 8 | 0.375 | [0.000, 1.000] | 1.5 | 321 | 50% | 1 | 0 |",
                      "| `choose` | `io_greedy` | +0.625 | [-1.000, +1.000] | higher | 7 : 2 | 0.0123 | 0.250 |",
                      "Above `io_greedy`: `choose`; below it: `review`;", "`cot`: 1 x limit: TIME_CPU",
                      "best - first | +0.250", "| `choose` | 16 | +0.625 |", "4321",
                      "- MBPP: of the best round over the first AFlow's logs show a gain, this worker neither a "
                      "gain nor a loss."):
            self.assertIn(words, page)
        self.assertNotIn(str(self.place), page)

    def test_a_stopped_run_goes_on_and_a_done_one_is_left(self):
        broken = self.write("bin/broken", "")
        self.assertEqual(self.study("--tasks", "8").returncode, 143)
        broken.unlink()
        self.made()
        first, second, third = self.notes()
        self.assertNotIn("--resume", first)
        self.assertIn("--resume", second)
        self.assertIn("/HumanEval/", second)
        self.assertNotIn("--resume", third)
        self.made()
        self.assertEqual(len(self.notes()), 3)

    def test_what_is_missing_is_named(self):
        (self.place / "data/benchmarks/mbpp_sanitized.jsonl").unlink()
        done = self.study()
        self.assertEqual(done.returncode, 2)
        self.assertIn("mbpp_sanitized.jsonl", done.stderr)

    def test_each_workflow_of_ours_passes_the_static_check(self):
        import import_workflows  # noqa: PLC0415
        caps = type("Caps", (), {"max_nodes": 2000, "max_code_bytes": 8192})
        for path in (ROOT / "examples" / "workflows").glob("*.py"):
            import_workflows.check(path.read_text(), import_workflows.load_rules(), caps)


if __name__ == "__main__":
    unittest.main()
