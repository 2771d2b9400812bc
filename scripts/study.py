#!/usr/bin/env python3
"""Compares a worker's plain calls with fixed workflows, some of AFlow's among them, on HumanEval and MBPP
by the benchmarks' own tests.

    study.py --model DIR --data DIR [--out DIR] [--report DIR] [--config FILE] [--tasks N]

--data has, as published, benchmarks/humaneval.jsonl and benchmarks/mbpp_sanitized.jsonl, of AFlow
teacher/aflow_discovered_workflows.jsonl (JSON lines: dataset, kind, round, graph, prompt, mean_score) and
workflow_runs/humaneval.json.gz and mbpp.json.gz (their scores by query and run).

Nothing is chosen by a score of the study. Tasks: N (60) of each set, evenly spaced in the order of AFlow's
test split. Of AFlow's workflows the first round's, where its search began, and the one with the best mean
over its own validation runs that can be imported, the earlier round where two are equal.

--out (runs/study) gets HumanEval/ and MBPP/, each a run of `evaluate`; called again, it goes on where it
was. DATE-workflows.md and .json are written to --report (docs/studies). Programs are those of
WEFT_PROGRAM_DIR, or build/release/bin.
"""
import argparse
import collections
import gzip
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench"))

import report_parts as parts  # noqa: E402
import study_report  # noqa: E402
from quickstart_report import estimates, read  # noqa: E402

BENCHMARKS = {"HumanEval": "humaneval", "MBPP": "mbpp"}
FILES = {"HumanEval": "humaneval.jsonl", "MBPP": "mbpp_sanitized.jsonl"}
FIRST_ROUND = 1
TEMPERATURE = 0.7  # of all that is sampled; the drafts of examples/workflows/choose.py are cot_sc's
# What is run, in this order: a workflow that begins as a method before it finds that call's reply kept.
METHODS = {
    "io_greedy": ("io_greedy", "one call, greedy; what the others are compared with"),
    "cot_sc": ("cot_sc", "several sampled chains of thought and a vote on their text"),
    "aflow_first": (None, "AFlow's first round, where its search began"),
    "aflow_best": (None, "AFlow's best round by its own validation runs"),
    "choose": ("workflow:examples/workflows/choose.py",
               "the drafts of cot_sc, the first that passes the public tests"),
    "review": ("workflow:examples/workflows/review.py",
               "the draft of io_greedy, a review, a rewrite; the draft stays where that has no code, as a trial on "
               "two tasks of each set had shown to be needed"),
    "repair": ("workflow:examples/workflows/repair.py",
               "the draft of io_greedy, repaired by its public tests at most twice"),
    "cot": ("cot", "one call that is asked to think step by step, sampled"),
    "cot_greedy": ("cot_greedy", "the same, greedy"),
}
# (a, b): a - b is told beside the differences to io_greedy.
PAIRS = [("choose", "cot_sc"), ("aflow_best", "aflow_first")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="the worker's folder")
    parser.add_argument("--data", type=Path, required=True, help="folder of the published files")
    parser.add_argument("--out", type=Path, default=Path("runs/study"))
    parser.add_argument("--report", type=Path, default=Path("docs/studies"))
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "study.json")
    parser.add_argument("--tasks", type=int, default=60, help="of each set")
    options = parser.parse_args()
    if options.tasks < 1:
        parser.error(f"--tasks: expected at least 1, got {options.tasks}")
    for path in (options.model / "config.json", options.config, *sources(options.data)):
        if not path.exists():
            parser.error(f"expected a file {path}, got none")
    return options


def program(name):
    return Path(os.environ.get("WEFT_PROGRAM_DIR") or ROOT / "build/release/bin") / name


def sources(data):
    return [*(data / "benchmarks" / file for file in FILES.values()), discovered(data),
            *(runs_of(data, dataset) for dataset in BENCHMARKS)]


def discovered(data):
    return data / "teacher" / "aflow_discovered_workflows.jsonl"


def runs_of(data, dataset):
    return data / "workflow_runs" / f"{BENCHMARKS[dataset]}.json.gz"


def call(*command):
    """Runs a command; its exit code. A signal to this script ends it as it ends alone."""
    child = subprocess.Popen([str(part) for part in command], cwd=ROOT)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child as well
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    code = child.wait()
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return code if code >= 0 else 128 - code


def must(*command):
    code = call(*command)
    if code != 0:
        sys.exit(code)


def evenly(rows, num):
    """`num` of the rows, or all that there are, at equal distances from the first on."""
    num = min(num, len(rows))
    return [rows[i * len(rows) // num] for i in range(num)]


def make_tasks(options, dataset):
    """(file of the chosen tasks, how many there were to choose from)"""
    folder = options.out / dataset
    folder.mkdir(parents=True, exist_ok=True)
    whole, chosen = folder / "aflow_test.jsonl", folder / "tasks.jsonl"
    if not whole.exists():
        must(program("prepare_tasks"), "--dataset", BENCHMARKS[dataset], "--in",
             options.data / "benchmarks" / FILES[dataset], "--split", "aflow_test", "--out", whole)
    lines = whole.read_text(encoding="utf-8").splitlines()
    chosen.write_text("".join(line + "\n" for line in evenly(lines, options.tasks)), encoding="utf-8")
    return chosen, len(lines)


def import_aflow(options):
    """Folder of AFlow's workflows, with the report of their import."""
    folder, partial = options.out / "aflow", options.out / "aflow.part"
    if not folder.exists():
        shutil.rmtree(partial, ignore_errors=True)
        must(sys.executable, ROOT / "scripts" / "import_workflows.py", "--format", "aflow", "--in",
             discovered(options.data), "--temperature", TEMPERATURE, "--out", partial)
        partial.rename(folder)
    return folder


def rounds_of(imported, dataset):
    """{round: (file, mean score)} of a set's imported workflows that its search validated."""
    found = {}
    for entry in imported["workflows"]:
        name = re.fullmatch(rf"{dataset}_graphs_(\d+)", entry["name"])
        if name and "file" in entry and entry.get("mean_score") is not None:
            found[int(name[1])] = entry["file"], float(entry["mean_score"])
    return found


def best_of(means):
    """The key of the largest value, the least key among equals."""
    return min(means, key=lambda key: (-means[key], key))


def run_set(options, dataset, tasks, methods):
    """One run of evaluate, unless it is done."""
    folder = options.out / dataset
    if (folder / ".done").exists():
        return
    resume = ["--resume"] if (folder / "evaluate" / "config.json").exists() else []
    listed = json.dumps([f"{name}={spec}" for name, spec in methods.items()])
    must(sys.executable, ROOT / "scripts" / "measure.py", folder / ".measured", program("evaluate"),
         "--config", options.config, "--out", folder / "evaluate", "--set", f"model={options.model}",
         "--set", f"tasks={tasks}", "--set", f"methods={listed}", "--set",
         f"cache={options.out / 'cache'}", "--set", f"cot_temperature={TEMPERATURE}", "--set",
         f"cot_sc_temperature={TEMPERATURE}", *resume)
    (folder / ".done").touch()


def scores_by_query(runs):
    """{workflow: {query: scores of its runs}} of a file of runs."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for run in runs["runs"]:
        for query, score in run["scores"].items():
            found[int(run["workflow"])][query].append(score)
    return found


def mean_of(by_query, queries):
    return statistics.fmean(score for query in queries for score in by_query[query])


def chosen_elsewhere(scores, queries):
    """{query: scores of the workflow that is best on the other half of the queries}"""
    found = {}
    for half in (queries[::2], queries[1::2]):
        others = [query for query in queries if query not in half]
        best = best_of({each: mean_of(scores[each], others) for each in scores})
        found.update((query, scores[best][query]) for query in half)
    return found


def their_runs(data, dataset, rounds, best):
    """What AFlow's logs say of its first and best workflow, by queries and runs."""
    with gzip.open(runs_of(data, dataset), "rt", encoding="utf-8") as file:
        runs = json.load(file)
    scores = scores_by_query(runs)
    queries = sorted(scores[best], key=int)
    scores = {each: scores[each] for each in rounds if set(queries) <= set(scores[each])}
    elsewhere = chosen_elsewhere(scores, queries)
    values = {name: [of[query] for query in queries] for name, of in (
        ("aflow_first", scores[FIRST_ROUND]), ("aflow_best", scores[best]), ("elsewhere", elsewhere))}
    rows = {name: {"values": each} for name, each in values.items()}
    rows["gain"] = {"values": values["aflow_best"], "minus": values["aflow_first"]}
    rows["gain_elsewhere"] = {"values": values["elsewhere"], "minus": values["aflow_first"]}
    return {"queries": len(queries), "runs": len(values["aflow_best"][0]), "workflows": len(scores),
            **estimates(rows)}


def public_tests(tasks):
    """Means over tasks: tests that a workflow may run, how many of them are official ones, all of these."""
    rows = [json.loads(line)["tests"] for line in tasks.read_text(encoding="utf-8").splitlines()]
    shared = [sum(test in row["official"] for test in row["public"]) for row in rows]
    return {"public": statistics.fmean(len(row["public"]) for row in rows),
            "public_official": statistics.fmean(shared),
            "official": statistics.fmean(len(row["official"]) for row in rows)}


def cut_replies(traces, max_tokens):
    """{method: share of its replies that ended at max_tokens}, of calls for one reply."""
    counts = collections.defaultdict(lambda: [0, 0])
    with open(traces, encoding="utf-8") as file:
        for row in map(json.loads, file):
            for each in row["calls"]:
                if each["kind"] == "call_llm" and len(each["texts"]) == 1:
                    counts[row["method"]][0] += each["completion_tokens"] >= max_tokens
                    counts[row["method"]][1] += 1
    return {name: cut / calls for name, (cut, calls) in counts.items()}


def set_report(options, dataset, tasks, num_in_split, their):
    folder = options.out / dataset
    run, config = read(folder / "evaluate" / "report.json"), read(folder / "evaluate" / "config.json")
    cut = cut_replies(folder / "evaluate" / "traces.jsonl", config["runner"]["worker"]["max_tokens"])
    wanted = [(name, "io_greedy") for name in METHODS if name != "io_greedy"] + PAIRS
    return {
        "split": num_in_split,
        "tests": public_tests(tasks),
        "methods": [{key: method[key] for key in (
            "name", "n", "score", "ci95", "ci_method", "calls_mean", "worker_tokens_mean", "workflow_errors",
            "infra_errors", "errors")} | {"cut": cut.get(method["name"])} for method in run["methods"]],
        "pairs": [pair for pair in run["pairs"] if (pair["a"], pair["b"]) in wanted],
        "tasks": run["tasks"],
        "worker": run["summary"]["worker"],
        "settings": {"max_tokens": config["runner"]["worker"]["max_tokens"],
                     "cot_sc_samples": config["cot_sc_samples"], "temperature": config["cot_temperature"],
                     "seed": config["seed"], "dtype": config["dtype"]},
        "cache": run["cache"],
        "decoded_tokens": read(folder / "evaluate" / "usage.json").get("decoded_tokens"),
        **read(folder / ".measured"),
        "aflow": their,
    }


def together(sets):
    """Each method minus io_greedy over the tasks of all sets."""
    tasks = [scores for each in sets.values() for scores in each["tasks"].values()]
    names = [name for name in METHODS if name != "io_greedy"]
    return estimates({name: {"values": [row.get(name) for row in tasks],
                             "minus": [row.get("io_greedy") for row in tasks]} for name in names})


def main():
    options = arguments()
    options.model, options.data, options.out, options.report, options.config = (path.resolve() for path in (
        options.model, options.data, options.out, options.report, options.config))
    options.out.mkdir(parents=True, exist_ok=True)
    started = options.out / "started.json"
    if not started.exists():
        started.write_text(json.dumps(parts.start()) + "\n")
    prepared = {dataset: make_tasks(options, dataset) for dataset in BENCHMARKS}
    aflow = import_aflow(options)
    sets = {}
    for dataset, (tasks, num_in_split) in prepared.items():
        rounds = rounds_of(read(aflow / "report.json"), dataset)
        best = best_of({number: mean for number, (_, mean) in rounds.items()})
        chosen = {"aflow_first": FIRST_ROUND, "aflow_best": best}
        run_set(options, dataset, tasks, {
            name: spec or f"workflow:{aflow / rounds[chosen[name]][0]}"
            for name, (spec, _) in METHODS.items()})
        their = {"rounds": chosen, **their_runs(options.data, dataset, rounds, best)}
        sets[dataset] = set_report(options, dataset, tasks, num_in_split, their)
    report = {**read(started), "sets": sets, "together": together(sets)}
    words = {name: each[1] for name, each in METHODS.items()}
    parts.write(report, study_report.text(report, words), "workflows", options.report)


if __name__ == "__main__":
    main()
