#!/usr/bin/env python3
"""Gathers what the stages of a quickstart left into RUN_DIR/report.json and report.html, and prints
the table.

    quickstart_report.py RUN_DIR

Every number is read from a stage's own files; nothing is computed here but sums of seconds and the
bootstrap intervals of the rewards before and after reinforcement.
"""
import json
import random
import shutil
import sys
from pathlib import Path

STAGES = ("search", "sft", "grpo", "control", "evaluate")
RESAMPLES = 10000


def read(path):
    return json.loads(path.read_text()) if path.exists() else {}


def stage_report(run, name):
    """Seconds (all calls of an interrupted stage together) and tokens of one stage."""
    summary, usage = read(run / name / "summary.json"), read(run / name / "usage.json")
    decoded = usage.get("decoded_tokens", 0)
    decoded += summary.get("decoded_tokens", 0) + summary.get("worker_tokens", 0)
    return {"seconds": int((run / f".{name}.seconds").read_text()), "decoded_tokens": decoded,
            "trained_tokens": summary.get("trained_tokens", 0)}


def prompt_means(side):
    return {task["id"]: sum(task["rewards"]) / len(task["rewards"])
            for task in side["tasks"] if task["rewards"]}


def interval(values, seed=0):
    """95 % percentile bootstrap of the mean over prompts."""
    generator = random.Random(seed)
    means = sorted(sum(generator.choices(values, k=len(values))) / len(values)
                   for _ in range(RESAMPLES))
    return [means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]]


def reinforcement(run, name):
    """Reward on the fixed validation prompts before and after, and its paired gain."""
    measured = read(run / name / "before_after.json")
    if not measured:
        return {}
    report = {"steps": read(run / name / "summary.json").get("step")}
    means = {side: prompt_means(measured[side]) for side in ("before", "after")}
    for side in ("before", "after"):
        report[side] = {"reward": measured[side]["reward"], "n": measured[side]["n"],
                        "valid": measured[side]["valid"],
                        "ci95": interval(list(means[side].values()))}
    gains = [means["after"][key] - means["before"][key]
             for key in means["before"] if key in means["after"]]
    report["gain"] = {"reward": sum(gains) / len(gains), "ci95": interval(gains)}
    return report


def number(value):
    return "-" if value is None else f"{value:.3f}"


def print_table(report):
    print(f"\n{'method':<14} {'score':>7}  {'95 % interval':<16} {'tokens':>8} {'valid':>6}")
    for method in report["methods"]:
        low, high = method["ci95"]
        print(f"{method['name']:<14} {method['score']:>7.3f}  [{low:.3f}, {high:.3f}]   "
              f"{method['tokens_mean']:>8.0f} {number(method.get('valid')):>6}")
    for name in ("grpo", "control"):
        if name not in report or not report[name]:
            continue
        run = report[name]
        low, high = run["gain"]["ci95"]
        print(f"\n{name}: validation reward {run['before']['reward']:.3f} -> "
              f"{run['after']['reward']:.3f} after {run['steps']} steps, paired gain "
              f"{run['gain']['reward']:+.3f} [{low:+.3f}, {high:+.3f}]")
    print(f"\n{'stage':<10} {'seconds':>8} {'decoded':>9} {'trained':>9}  (tokens)")
    for name, stage in report["stages"].items():
        print(f"{name:<10} {stage['seconds']:>8} {stage['decoded_tokens']:>9} "
              f"{stage['trained_tokens']:>9}")


def main():
    run = Path(sys.argv[1])
    evaluation = read(run / "evaluate" / "report.json")
    stages = {name: stage_report(run, name) for name in STAGES if (run / f".{name}.done").exists()}
    served = read(run / "served.json")
    report = {
        "seconds": sum(stage["seconds"] for stage in stages.values()),
        "stages": stages,
        "teacher": "scripted",
        "methods": evaluation["methods"],
        "pairs": evaluation["pairs"],
        "grpo": reinforcement(run, "grpo"),
        "control": reinforcement(run, "control"),
        "served": {"status": served.get("status"), "answer": served.get("answer")},
    }
    (run / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    shutil.copyfile(run / "evaluate" / "report.html", run / "report.html")
    print_table(report)
    print(f"\n{report['seconds']} s in all. Report: {run}/report.html, {run}/report.json\nServe it:  "
          f"build/release/bin/serve --config configs/quickstart.json --adapter {run}/grpo/final")


if __name__ == "__main__":
    sys.exit(main())
