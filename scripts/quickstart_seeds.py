#!/usr/bin/env python3
"""Runs the quickstart with its controls over several seeds, none left out, and says whether it shows
what it must.

    quickstart_seeds.py [--seeds 1 2 3] [--out DIR] [--config FILE]

DIR (runs/seeds) gets a folder for each seed and report.json. Called again, it goes on where it was.
Intervals pool the seeds: a task's values of all seeds are one unit. Exit code 1 when a claim is not
shown; the table is printed all the same. An interval that holds 0 is inconclusive: that
the control gains nothing is no claim, that reinforcement ends above its control is one.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

from quickstart_report import estimates, interval, number, prompt_means, read, reward_bounds

ROOT = Path(__file__).resolve().parents[1]
LEAST_VALID = 0.9
CLAIMS = ("grpo_gain", "grpo_minus_control", "grpo_minus_single_call")  # each above 0


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


def together(sides):
    """[{key: value} of each run] as one list of the runs' values for each key."""
    keys = dict.fromkeys(key for side in sides for key in side)
    return {key: [side.get(key) for side in sides] for key in keys}


def reward_rows(runs):
    """Gain in validation reward, and what the control lacks: a prompt's values of all seeds are one
    unit, since they are not independent."""
    def side(stage, when):
        return [prompt_means(read(run / stage / "before_after.json")[when]) for run in runs]

    def row(ours, theirs):
        ours, theirs = together(ours), together(theirs)
        unknown = [None] * len(runs)
        return {"values": list(ours.values()),
                "minus": [theirs.get(prompt, unknown) for prompt in ours],
                "bounds": reward_bounds(read(runs[0] / "grpo" / "config.json"))}

    return {"grpo_gain": row(side("grpo", "after"), side("grpo", "before")),
            "control_gain": row(side("control", "after"), side("control", "before")),
            "grpo_minus_control": row(side("grpo", "after"), side("control", "after"))}


def headline_rows(runs):
    """The meta-agent against the strongest of each class that `evaluate` names, the seeds' scores of
    a task as one unit."""
    evaluations = [read(run / "evaluate" / "report.json") for run in runs]

    def scores(name):
        return list(together([{task: row.get(name) for task, row in evaluation["tasks"].items()}
                              for evaluation in evaluations]).values())

    return {f"{headline['method']}_minus_{headline['class']}": {
                "values": scores(headline["method"]),
                "minus_strongest": [{"name": name, "values": scores(name)}
                                    for name in headline["among"]]}
            for headline in evaluations[0]["headlines"]}


def study(out, seeds):
    runs = [folder(out, seed) for seed in seeds]
    reports = [read(run / "report.json") for run in runs]
    valid = [report["grpo"]["before"]["valid"] for report in reports]
    found = estimates({**reward_rows(runs), **headline_rows(runs)})
    shown = {claim: found.get(claim, {}).get("reading") == "higher" for claim in CLAIMS}
    shown["sft_valid"] = sum(valid) / len(valid) >= LEAST_VALID
    return {"seeds": seeds, "sft_valid": valid, "estimates": found, "shown": shown,
            "runs": reports}


def print_seeds(report):
    names = [method["name"] for method in report["runs"][0]["methods"]]
    print(f"\nWorker: {report['runs'][0]['worker']}. Taught by: "
          f"{'; '.join(report['runs'][0]['teachers']) or 'nobody'}.")
    print(f"\n{'seed':<5} {'SFT valid':>9} {'reward before':>14} {'after':>6} {'control':>8}   "
          "test score: " + " ".join(names))
    for seed, run in zip(report["seeds"], report["runs"]):
        grpo, control = run["grpo"], run["control"]
        print(f"{seed:<5} {grpo['before']['valid']:>9.3f} {number(grpo['before']['reward']):>14} "
              f"{number(grpo['after']['reward']):>6} {number(control['after']['reward']):>8}               "
              + " ".join(f"{number(method['score']):>{max(5, len(method['name']))}}"
                         for method in run["methods"]))
    print(f"\n{'seed':<5} {'stage':<18} {'seconds':>8} {'decoded':>9} {'trained':>9} {'peak MB':>8}")
    for seed, run in zip(report["seeds"], report["runs"]):
        for name, stage in run["stages"].items():
            print(f"{seed:<5} {name:<18} {stage['seconds']:>8.0f} {stage['decoded_tokens']:>9} "
                  f"{stage['trained_tokens']:>9} {stage['peak_mb']:>8.0f}")


def print_claims(report):
    valid = report["sft_valid"]
    said = {True: "shown", False: "NOT shown", None: "for comparison"}
    print(f"\npooled over seeds {report['seeds']}, 95 % intervals:")
    print(f"  {'sft_valid':<28} {sum(valid) / len(valid):+.3f}  at least {LEAST_VALID}: "
          f"{said[report['shown']['sft_valid']]}")
    for name, found in report["estimates"].items():
        rival = f", against {found['against']}" if "against" in found else ""
        print(f"  {name:<28} {number(found['mean'], sign='+')}  {interval(found, '+'):<18} "
              f"{found['ci_method']:<11} n {found['n']:<4} {found['reading']}{rival}: "
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
