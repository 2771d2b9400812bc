#!/usr/bin/env python3
"""Runs the quickstart with its controls over several seeds, none left out, and says whether it shows
what it must.

    quickstart_seeds.py [--seeds 1 2 3] [--out DIR] [--config FILE]

DIR (runs/seeds) gets a folder for each seed and report.json. Called again, it goes on where it was.
Intervals pool the seeds: a task's paired differences of all seeds are drawn together. Exit code 1
when a claim is not shown; the table is printed all the same.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

from quickstart_report import differences, pooled_mean, prompt_means, read

ROOT = Path(__file__).resolve().parents[1]
LEAST_VALID = 0.9


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--config", default="configs/quickstart.json")
    return parser.parse_args()


def folder(out, seed):
    return out / f"seed_{seed}"


def run_seed(out, seed, config):
    subprocess.run([ROOT / "scripts" / "quickstart.sh", "--seed", str(seed), "--controls",
                    "--config", config, "--out", folder(out, seed)], cwd=ROOT, check=True)


def add(pooled, more):
    for key, values in more.items():
        pooled.setdefault(key, []).extend(values)


def pooled_gain(runs, stage):
    """Gain in validation reward, pooled over seeds."""
    pooled = {}
    for run in runs:
        measured = read(run / stage / "before_after.json")
        add(pooled, differences(prompt_means(measured["after"]), prompt_means(measured["before"])))
    return pooled_mean(pooled)


def pooled_score(runs, method, other):
    """Difference of two methods' scores on the test tasks, pooled over seeds."""
    pooled = {}
    for run in runs:
        tasks = read(run / "evaluate" / "report.json")["tasks"]
        sides = [{task: scores[name] for task, scores in tasks.items()
                  if scores.get(name) is not None} for name in (method, other)]
        add(pooled, differences(*sides))
    return pooled_mean(pooled)


def excludes_zero_above(estimate):
    return estimate["ci95"][0] > 0


def includes_zero(estimate):
    return estimate["ci95"][0] <= 0 <= estimate["ci95"][1]


def study(out, seeds):
    runs = [folder(out, seed) for seed in seeds]
    reports = [read(run / "report.json") for run in runs]
    valid = [report["grpo"]["before"]["valid"] for report in reports]
    claims = {
        "grpo_gain": pooled_gain(runs, "grpo"),
        "grpo_minus_io": pooled_score(runs, "grpo", "io"),
        "grpo_minus_best_fixed": pooled_score(runs, "grpo", "best_fixed"),
        "control_gain": pooled_gain(runs, "control"),
        "grpo_minus_other_query": pooled_score(runs, "grpo", "other_query"),
    }
    shown = {
        "sft_valid": sum(valid) / len(valid) >= LEAST_VALID,
        "grpo_gain": excludes_zero_above(claims["grpo_gain"]),
        "grpo_minus_io": excludes_zero_above(claims["grpo_minus_io"]),
        "control_gain": includes_zero(claims["control_gain"]),
    }
    return {"seeds": seeds, "sft_valid": valid, "estimates": claims, "shown": shown,
            "runs": reports}


def score(report, name):
    return next(method["score"] for method in report["methods"] if method["name"] == name)


def print_seeds(report):
    columns = ("io", "cot", "cot_sc", "best_fixed", "sft", "grpo", "other_query")
    print(f"\n{'seed':<5} {'SFT valid':>9} {'reward before':>14} {'after':>6} {'control':>8}   "
          "test score: " + " ".join(columns))
    for seed, run in zip(report["seeds"], report["runs"]):
        grpo, control = run["grpo"], run["control"]
        print(f"{seed:<5} {grpo['before']['valid']:>9.3f} {grpo['before']['reward']:>14.3f} "
              f"{grpo['after']['reward']:>6.3f} {control['after']['reward']:>8.3f}               "
              + " ".join(f"{score(run, name):>{max(5, len(name))}.3f}" for name in columns))
    print(f"\n{'seed':<5} {'stage':<18} {'seconds':>8} {'decoded':>9} {'trained':>9} {'peak MB':>8}")
    for seed, run in zip(report["seeds"], report["runs"]):
        for name, stage in run["stages"].items():
            print(f"{seed:<5} {name:<18} {stage['seconds']:>8.0f} {stage['decoded_tokens']:>9} "
                  f"{stage['trained_tokens']:>9} {stage['peak_mb']:>8.0f}")


def print_claims(report):
    valid = report["sft_valid"]
    said = {True: "shown", False: "NOT shown", None: "for comparison"}
    print(f"\npooled over seeds {report['seeds']}, 95 % intervals:")
    print(f"  {'sft_valid':<24} {sum(valid) / len(valid):+.3f}  at least {LEAST_VALID}"
          f"{'':<10} {said[report['shown']['sft_valid']]}")
    for name, estimate in report["estimates"].items():
        low, high = estimate["ci95"]
        print(f"  {name:<24} {estimate['mean']:+.3f}  [{low:+.3f}, {high:+.3f}]  n {estimate['n']:<5}"
              f"{said[report['shown'].get(name)]}")


def main():
    options = arguments()
    for seed in options.seeds:
        run_seed(options.out, seed, options.config)
    report = study(ROOT / options.out, options.seeds)
    (ROOT / options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print_seeds(report)
    print_claims(report)
    return 0 if all(report["shown"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
