"""Runs int8_bench and writes the report."""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import report_parts as parts  # noqa: E402

# Prose first: the speed rows take their prompts from the first file.
TEXTS = ("docs/sandbox.md", "README.md", "sandbox/judge/judge.cpp", "sandbox/runtime/recorder.py")
SPEED = {
    "decode_1": "decoding, 1 sequence, tokens/s",
    "decode_4": "decoding, 4 sequences, tokens/s",
    "decode_16": "decoding, 16 sequences, tokens/s",
    "prefill_1024": "prompt of 1,024 tokens, tokens/s",
}
REQUIRED_RATIO = 1.5


def run_json(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(args):
    """Speed from processes of their own in turn: an engine has the cores' threads for itself."""
    program = args.bin / "int8_bench"
    rounds = [{dtype: run_json([program, "speed", args.model, dtype, TEXTS[0]])
               for dtype in ("bf16", "int8")} for _ in range(args.rounds)]
    speed = {}
    for row in (*SPEED, "anonymous_mb"):
        ratios = [each["int8"][row] / each["bf16"][row] for each in rounds]
        speed[row] = {dtype: statistics.median(each[dtype][row] for each in rounds)
                      for dtype in ("bf16", "int8")}
        speed[row].update(ratio=statistics.median(ratios), least=min(ratios), most=max(ratios))
    return {"rounds": rounds, "speed": speed,
            "loss": run_json([program, "loss", args.model, *TEXTS])}


def markdown(report, command):
    results = report["results"]
    speed, loss = results["speed"], results["loss"]
    lines = [*parts.heading("int8 weights", report, command),
             f"Model: {report['model']}. Build: {report['preset']}.", "",
             f"bf16 and int8 in turn, {len(results['rounds'])} rounds; medians, with the least and "
             "the greatest ratio of a round.", "",
             "| what | bf16 | int8 | int8 / bf16 |", "|---|---|---|---|"]
    for name, words in {**SPEED, "anonymous_mb": "memory of an opened engine, MB"}.items():
        row = speed[name]
        lines.append(f"| {words} | {row['bf16']:.1f} | {row['int8']:.1f} | "
                     f"{row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f}) |")
    ratio = speed["decode_1"]["ratio"]
    lines += ["", f"Required: {REQUIRED_RATIO} times bf16 for one sequence; "
              f"seen: {ratio:.2f}, {'holds' if ratio >= REQUIRED_RATIO else 'does not hold'}.", "",
              f"Logprobs of {loss['tokens']} tokens of {', '.join(TEXTS)}, against fp32, nats:", "",
              "| weights | mean difference | mean of magnitudes | 99th percentile | greatest | "
              "mean -logprob |", "|---|---|---|---|---|---|"]
    for dtype in ("f32", "bf16", "int8"):
        row = loss[dtype]
        lines.append(f"| {dtype} | {row['mean']:+.4f} | {row['mean_abs']:.4f} | "
                     f"{row['p99_abs']:.4f} | {row['max_abs']:.4f} | {row['nll']:.4f} |")
    return "\n".join(lines) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh int8")
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=Path("models/SmolLM2-135M-Instruct"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    return parser.parse_args()


def main():
    args = parse_arguments()
    report = {**parts.start(), "model": args.model.name, "preset": args.bin.parent.name}
    report["results"] = measure(args)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{report['date']}-int8"
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    text = markdown(report, " ".join(["scripts/bench.sh", "int8", *sys.argv[3:]]))
    path.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
