#!/usr/bin/env python3
"""Gathers what the stages of a quickstart left into RUN_DIR/report.json and report.html, and prints
the table.

    quickstart_report.py RUN_DIR [SERVE_PROGRAM CONFIG]

Every number is read from a stage's own files or comes from the program `estimate`, which computes
intervals as `evaluate` does. It is taken from WEFT_PROGRAM_DIR, or build/release/bin.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SEARCHES = ("search", "search_task_level")


def read(path):
    return json.loads(path.read_text()) if path.exists() else {}


def estimates(rows):
    """The answers of `estimate` to {id: row}, by id."""
    program = Path(os.environ.get("WEFT_PROGRAM_DIR") or ROOT / "build/release/bin") / "estimate"
    lines = "".join(json.dumps({"id": key, **row}) + "\n" for key, row in rows.items())
    done = subprocess.run([program, "--in", "-", "--out", "-"], input=lines, stdout=subprocess.PIPE,
                          text=True, check=True)
    answers = map(json.loads, done.stdout.splitlines())
    return {answer.pop("id"): answer for answer in answers}


def stage_names(run):
    """Stages that are done, in the order in which they were."""
    done = sorted(run.glob(".*.done"), key=lambda path: path.stat().st_mtime_ns)
    return [path.name[1:-len(".done")] for path in done]


def stage_report(run, name):
    """What one stage took: all calls of an interrupted stage together."""
    measured, summary = read(run / f".{name}.measured"), read(run / name / "summary.json")
    return {"seconds": measured["seconds"], "peak_mb": measured["peak_mb"],
            "decoded_tokens": read(run / name / "usage.json").get("decoded_tokens", 0),
            "trained_tokens": summary.get("trained_tokens", 0)}


def search_report(run, name):
    """What a search was allowed and what it spent: the limits, 0 for none, beside calls and tokens."""
    report = read(run / name / "report.json")
    return {"tasks": read(run / name / "config.json").get("tasks"),
            **{key: report.get(key) for key in ("scope", "generator", "budget", "spent")}}


def prompt_means(side):
    """{prompt: mean reward of its samples, or None where none has one}"""
    return {task["id"]: sum(task["rewards"]) / len(task["rewards"]) if task["rewards"] else None
            for task in side["tasks"]}


def reward_bounds(config):
    """Least and greatest reward (workflow/reward.h), or None where the run does not say."""
    weights = config.get("reward")
    taken = ("w_complexity", "w_calls", "w_tokens", "w_usd")
    return weights and [-sum(weights.get(name, 0) for name in taken),
                        weights["w_pass"] + weights["w_diversity"]]


def reinforcement(run, name):
    """Reward on the fixed validation prompts before and after, and its paired gain."""
    measured = read(run / name / "before_after.json")
    if not measured:
        return {}
    means = {side: prompt_means(measured[side]) for side in ("before", "after")}
    prompts = {**means["before"], **means["after"]}
    values = {side: [means[side].get(prompt) for prompt in prompts] for side in means}
    bounds = reward_bounds(read(run / name / "config.json"))
    rows = {side: {"values": values[side], "bounds": bounds} for side in values}
    rows["gain"] = {"values": values["after"], "minus": values["before"], "bounds": bounds}
    answers = estimates(rows)
    for side, answer in answers.items():
        answer["reward"] = answer.pop("mean")
        if side in measured:
            answer["valid"] = measured[side]["valid"]
    return {"steps": read(run / name / "summary.json").get("step"), **answers}


def number(value, digits=3, sign=""):
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def interval(estimate, sign=""):
    low, high = (number(limit, sign=sign) for limit in estimate["ci95"])
    return f"[{low}, {high}]" if low != "-" else "no interval"


def print_methods(report):
    origin = [f"Worker: {report['worker']}."]
    if report["teachers"]:
        origin.append(f"Taught by: {'; '.join(report['teachers'])}.")
    print("\n" + " ".join(origin))
    width = max(14, *(len(method["name"]) for method in report["methods"]))
    print(f"\n{'method':<{width}} {'score':>7}  {'95 % interval':<16} {'kind':<11} {'tasks':>5} "
          f"{'tokens':>8} {'valid':>6}")
    for method in report["methods"]:
        print(f"{method['name']:<{width}} {number(method['score']):>7}  {interval(method):<16} "
              f"{method['ci_method']:<11} {method['n']:>5} {number(method['tokens_mean'], 0):>8} "
              f"{number(method.get('valid')):>6}")
    for method in report["methods"]:
        for reason, count in method.get("reasons", {}).items():
            print(f"{method['name']}: {count} x {reason}")
    print()
    for headline in report["headlines"]:
        print(headline["words"])


def print_reinforcement(name, run):
    before, after, gain = run["before"], run["after"], run["gain"]
    print(f"\n{name}: on {gain['n']} validation prompts valid {before['valid']:.3f} -> "
          f"{after['valid']:.3f}, reward {number(before['reward'])} -> {number(after['reward'])} after "
          f"{run['steps']} steps, paired gain {number(gain['reward'], sign='+')} "
          f"{interval(gain, '+')}, {gain['reading']}")


def print_searches(searches):
    print(f"\n{'search':<18} {'scope':<11} {'workflows':>9} {'calls':>7} {'tokens':>9}  limits (0: none)")
    for name, search in searches.items():
        spent, limits = search["spent"], search["budget"]
        print(f"{name:<18} {search['scope']:<11} {spent['workflows']:>9} "
              f"{spent['generator_calls'] + spent['worker_calls']:>7} "
              f"{spent['prompt_tokens'] + spent['completion_tokens']:>9}  {limits['workflows']} "
              f"workflows, {limits['calls']} calls, {limits['tokens']} tokens")


def print_table(report):
    print_methods(report)
    for name in ("grpo", "control"):
        if report.get(name):
            print_reinforcement(name, report[name])
    print_searches(report["searches"])
    print(f"\n{'stage':<18} {'seconds':>8} {'decoded':>9} {'trained':>9} {'peak MB':>8}")
    for name, stage in report["stages"].items():
        print(f"{name:<18} {stage['seconds']:>8.0f} {stage['decoded_tokens']:>9} "
              f"{stage['trained_tokens']:>9} {stage['peak_mb']:>8.0f}")


def main():
    if len(sys.argv) not in (2, 4):
        sys.exit(__doc__)
    run = Path(sys.argv[1])
    serve, config = sys.argv[2:] or ("build/release/bin/serve", "configs/quickstart.json")
    evaluation = read(run / "evaluate" / "report.json")
    stages = {name: stage_report(run, name) for name in stage_names(run)}
    served = read(run / "served.json")
    report = {
        "seconds": round(sum(stage["seconds"] for stage in stages.values())),
        "peak_mb": max(stage["peak_mb"] for stage in stages.values()),
        "stages": stages,
        "teacher": read(run / "search" / "config.json")["generator"]["kind"],
        "searches": {name: search_report(run, name) for name in SEARCHES if name in stages},
        "worker": evaluation["summary"]["worker"],
        "teachers": evaluation["summary"]["teachers"],
        "methods": evaluation["methods"],
        "headlines": evaluation["headlines"],
        "pairs": evaluation["pairs"],
        "grpo": reinforcement(run, "grpo"),
        "control": reinforcement(run, "control"),
        "served": {"status": served.get("status"), "answer": served.get("answer")},
    }
    (run / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    page = (run / "evaluate" / "report.html").read_text(encoding="utf-8")
    (run / "report.html").write_text(page.replace('"page":"report_tasks/', '"page":"evaluate/report_tasks/'),
                                     encoding="utf-8")
    print_table(report)
    print(f"\n{report['seconds']} s in all. Report: {run}/report.html, {run}/report.json\nServe it:  "
          f"{serve} --config {config} --adapter {run}/grpo/final")


if __name__ == "__main__":
    sys.exit(main())
