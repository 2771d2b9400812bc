"""Runs the trainer's measurements and their peers in rounds and writes the report."""

import argparse
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import report_parts as parts  # noqa: E402

# What is trained, the peer, and what the issue asks of the rate (times the peer's) and of the memory.
KINDS = {
    "full": ("SFT, full weights, fp32 copies", "transformers, fp32 weights under autocast", 2.2, 0.7),
    "full_bf16": ("SFT, full weights, states in bf16", "transformers, bf16 weights", 2.2, 0.7),
    "lora": ("SFT, LoRA of rank 16", "peft", 2.2, 0.7),
    "grpo": ("GRPO, LoRA, 16 rollouts of 200 tokens", "TRL", 3, None),
}


def fail(side, answer):
    sys.exit(f"bench: {side}: {answer['error'].splitlines()[-1]}")


def measure_kind(args, kind, env, report):
    sides = {"weft": parts.Side([args.bin / "train_bench", args.model, kind]),
             "peer": parts.Side([sys.executable, HERE / "peers.py", kind, args.model], env)}
    report["models"][kind] = sides["weft"].ask("model")
    report["versions"].update(sides["peer"].ask("versions"))
    rounds = []
    for number in range(args.warm_up + args.rounds):
        order = sorted(sides, reverse=number % 2 == 0)
        answers = {name: sides[name].ask("step") for name in order}
        for name in order:
            if "error" in answers[name]:
                fail(f"{kind}, {name}", answers[name])
        if number >= args.warm_up:
            rounds.append(answers)
        print(f"{kind}, round {number + 1}", file=sys.stderr)
    for side in sides.values():
        side.close()
    return rounds


def matmul_rate(args):
    """The best bf16 product of roofline_bench, in FLOP/s; None where it is not built."""
    done = parts.run_json([args.bin / "roofline_bench", "--benchmark_filter=matmul_bf16",
                           "--benchmark_format=json"])
    if "error" in done:
        return None
    return max(row["items_per_second"] for row in done["benchmarks"])


def summarise(report):
    results = {}
    for kind, rounds in report["rounds"].items():
        def both(key, rounds=rounds):
            return {side: parts.spread(each[side].get(key) for each in rounds)
                    for side in ("weft", "peer")}
        result = results[kind] = {key: both(key) for key in ("s", "tok_per_s", "rollout_s",
                                                             "forward_s", "peak_mb")}
        result["times"] = parts.spread(each["weft"]["tok_per_s"] / each["peer"]["tok_per_s"]
                                       for each in rounds)
        result["memory"] = (result["peak_mb"]["weft"]["max"] / result["peak_mb"]["peer"]["max"])
        model = report["models"][kind]
        if report["matmul_flop_per_s"] and kind != "grpo":
            flop = model["forward_flop_per_token"] + model["backward_flop_per_token"]
            result["matmul_share"] = (flop * result["tok_per_s"]["weft"]["median"]
                                      / report["matmul_flop_per_s"])
    return results


def requirements(results):
    rows = []
    for kind, (what, peer, times, memory) in KINDS.items():
        if kind not in results:
            continue
        rows.append(parts.requirement(f"{what}: times {peer}", results[kind]["times"]["median"],
                                      times))
        if memory:
            rows.append(parts.requirement(f"{what}: peak memory by {peer}'s",
                                          results[kind]["memory"], at_most=memory))
    return rows


def share_lines(results):
    lines = []
    for kind, result in results.items():
        if kind == "grpo":
            rollout = result["rollout_s"]["weft"]["median"] / result["s"]["weft"]["median"]
            peer = result["rollout_s"]["peer"]["median"] / result["s"]["peer"]["median"]
            lines.append(f"- {KINDS[kind][0]}: sampling takes {rollout:.0%} of a step, of the peer's "
                         f"{peer:.0%}; the rest is the update.")
            continue
        forward = result["forward_s"]["weft"]["median"] / result["s"]["weft"]["median"]
        line = f"- {KINDS[kind][0]}: a forward pass alone takes {forward:.0%} of a step"
        if "matmul_share" in result:
            line += (f"; the products of a step are {result['matmul_share']:.0%} of what the machine's "
                     "best bf16 product would do in that time")
        lines.append(line + ".")
    return lines


def markdown(report, command):
    results = report["results"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
    lines = [*parts.heading("Trainer", report, command),
             "SmolLM2-135M-Instruct in bf16 on two threads on both sides, 4 sequences of 512 random ids "
             "a step, nothing recomputed; GRPO with 2 prompts of 128 tokens, 8 rollouts of 200 tokens "
             f"each, the reward a random number. Medians of {report['num_rounds']} steps after "
             f"{report['warm_up']} for warming up; the sides take turns, the range in brackets. Memory "
             f"is the process's peak. Peers: {versions}.", "",
             "| | Weft, tokens/s | peer, tokens/s | times | Weft, MB | peer, MB |",
             "|---|---|---|---|---|---|"]
    for kind, result in results.items():
        rate, peak = result["tok_per_s"], result["peak_mb"]
        lines.append(f"| {KINDS[kind][0]}; {KINDS[kind][1]} | {parts.shown(rate['weft'])} "
                     f"| {parts.shown(rate['peer'])} | {parts.shown(result['times'], '{:.2f}')} "
                     f"| {peak['weft']['max']:.0f} | {peak['peer']['max']:.0f} |")
    lines += ["", *share_lines(results), "", *parts.requirement_table(requirements(results))]
    return "\n".join(lines) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh train")
    parser.add_argument("--command", required=True, help="as the report gives it")
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=Path("models/SmolLM2-135M-Instruct"))
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of " + ", ".join(KINDS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    args = parser.parse_args()
    unknown = set(args.kinds.split(",")) - KINDS.keys()
    if unknown:
        parser.error(f"--kinds: unknown {', '.join(sorted(unknown))}")
    return args


def main():
    args = parse_arguments()
    args.bin = args.bin.resolve()
    report = parts.start()
    report.update(versions={}, models={}, num_rounds=args.rounds, warm_up=args.warm_up)
    before, began = parts.processor_seconds(), time.monotonic()
    env = parts.peer_environment()
    report["rounds"] = {kind: measure_kind(args, kind, env, report)
                        for kind in args.kinds.split(",")}
    report["matmul_flop_per_s"] = matmul_rate(args)
    report["others_share"] = parts.others_share(before, parts.processor_seconds(),
                                                time.monotonic() - began, os.cpu_count())
    report["results"] = summarise(report)
    parts.write(report, markdown(report, args.command), "train", args.out)


if __name__ == "__main__":
    main()
