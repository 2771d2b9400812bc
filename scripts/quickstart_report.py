#!/usr/bin/env python3
"""Gathers what the stages of a quickstart left into RUN_DIR/report.json and report.html, and prints
the table.

    quickstart_report.py RUN_DIR [SERVE_PROGRAM CONFIG]

Every number is read from a stage's own files; nothing is computed here but sums and the bootstrap
intervals of the rewards before and after reinforcement.
"""
import json
import random
import shutil
import sys
from pathlib import Path

SEARCHES = ("search", "search_task_level")
STAGES = (*SEARCHES, "sft", "grpo", "control", "evaluate")
RESAMPLES = 10000


def read(path):
    return json.loads(path.read_text()) if path.exists() else {}


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
    return {task["id"]: sum(task["rewards"]) / len(task["rewards"])
            for task in side["tasks"] if task["rewards"]}


def pooled_mean(values):
    """Mean over all values of {prompt: [value, ...]} with a 95 % percentile bootstrap that draws
    whole prompts, since values of one prompt (from several seeds) are not independent."""
    clusters = list(values.values())
    generator = random.Random(0)

    def mean(drawn):
        return sum(map(sum, drawn)) / sum(map(len, drawn))

    means = sorted(mean(generator.choices(clusters, k=len(clusters))) for _ in range(RESAMPLES))
    return {"mean": mean(clusters), "n": sum(map(len, clusters)),
            "ci95": [means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]]}


def differences(after, before):
    """Paired by prompt; a prompt that one side lacks is left out of both."""
    return {key: [after[key] - before[key]] for key in after if key in before}


def reinforcement(run, name):
    """Reward on the fixed validation prompts before and after, and its paired gain."""
    measured = read(run / name / "before_after.json")
    if not measured:
        return {}
    report = {"steps": read(run / name / "summary.json").get("step")}
    means = {side: prompt_means(measured[side]) for side in ("before", "after")}
    for side in ("before", "after"):
        spread = pooled_mean({key: [value] for key, value in means[side].items()})
        report[side] = {"reward": measured[side]["reward"], "n": measured[side]["n"],
                        "valid": measured[side]["valid"], "ci95": spread["ci95"]}
    gain = pooled_mean(differences(means["after"], means["before"]))
    report["gain"] = {"reward": gain["mean"], "ci95": gain["ci95"]}
    return report


def number(value, digits=3):
    return "-" if value is None else f"{value:.{digits}f}"


def print_searches(searches):
    print(f"\n{'search':<18} {'scope':<11} {'workflows':>9} {'calls':>7} {'tokens':>9}  limits (0: none)")
    for name, search in searches.items():
        spent, limits = search["spent"], search["budget"]
        print(f"{name:<18} {search['scope']:<11} {spent['workflows']:>9} "
              f"{spent['generator_calls'] + spent['worker_calls']:>7} "
              f"{spent['prompt_tokens'] + spent['completion_tokens']:>9}  {limits['workflows']} "
              f"workflows, {limits['calls']} calls, {limits['tokens']} tokens")


def print_table(report):
    print(f"\n{'method':<14} {'score':>7}  {'95 % interval':<16} {'tokens':>8} {'valid':>6}")
    for method in report["methods"]:
        low, high = map(number, method["ci95"] or (None, None))
        print(f"{method['name']:<14} {number(method['score']):>7}  {f'[{low}, {high}]':<16} "
              f"{number(method['tokens_mean'], 0):>8} {number(method.get('valid')):>6}")
    for name in ("grpo", "control"):
        if name not in report or not report[name]:
            continue
        run = report[name]
        low, high = run["gain"]["ci95"]
        print(f"\n{name}: on {run['before']['n']} validation prompts valid "
              f"{run['before']['valid']:.3f} -> {run['after']['valid']:.3f}, reward {run['before']['reward']:.3f} -> "
              f"{run['after']['reward']:.3f} after {run['steps']} steps, paired gain "
              f"{run['gain']['reward']:+.3f} [{low:+.3f}, {high:+.3f}]")
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
    stages = {name: stage_report(run, name) for name in STAGES if (run / f".{name}.done").exists()}
    served = read(run / "served.json")
    report = {
        "seconds": round(sum(stage["seconds"] for stage in stages.values())),
        "peak_mb": max(stage["peak_mb"] for stage in stages.values()),
        "stages": stages,
        "teacher": read(run / "search" / "config.json")["generator"]["kind"],
        "searches": {name: search_report(run, name) for name in SEARCHES if name in stages},
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
          f"{serve} --config {config} --adapter {run}/grpo/final")


if __name__ == "__main__":
    sys.exit(main())
