"""Runs the engine's measurements and their peers in rounds and writes the report."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import report_parts as parts  # noqa: E402
import texts  # noqa: E402
from report_parts import run_json  # noqa: E402

# Rows that the engine and transformers both have, and how the report calls them.
ROWS = {
    "decode_1": "decode, batch 1",
    "decode_8": "decode, batch 8",
    "decode_32": "decode, batch 32",
    "decode_64": "decode, batch 64",
    "prefill_1x128": "prefill, one prompt of 128",
    "prefill_16x128": "prefill, 16 prompts of 128",
    "prefill_1x1024": "prefill, one prompt of 1,024",
    "group": "16 samples of 64 on a prompt of 1,024",
    "score": "score, 8 texts of 256",
}
# Streams that run while a prompt of 6,000 tokens comes; the engine's alone.
GAPS = {"gap_1": 1, "gap_8": 8, "gap_32": 32}
TIMES = {"decode_1": 2.5, "decode_8": 4.5, "decode_32": 6, "decode_64": 6, "prefill_1x128": 1,
         "prefill_16x128": 1, "prefill_1x1024": 1, "group": 5}
TOKENIZERS = ("smollm2", "qwen2")
TEXTS = ("english", "code")


def measure_roofline(args):
    """Items or bytes a second by the benchmark's name."""
    done = run_json([args.bin / "roofline_bench", "--benchmark_format=json"])
    if "error" in done:
        return done
    return {row["name"]: row.get("bytes_per_second") or row.get("items_per_second")
            for row in done["benchmarks"]}


def measure_tokenizers(args, paths):
    result = {}
    for tokenizer in TOKENIZERS:
        file = paths[tokenizer]
        for text in TEXTS:
            words = [args.seconds, file, paths[text]]
            result[f"{tokenizer}_{text}"] = {
                "engine": run_json([args.bin / "tokenizer_bench", *words], args.core),
                "tokenizers": run_json([sys.executable, HERE / "peers.py", "tokenizers", *words],
                                       args.core),
            }
    return result


def measure_round(args, sides, number, paths):
    """Every row by all sides in turn; who begins changes from round to round."""
    result = {}
    for row in ROWS:
        order = [name for name in sides if name != "llama_cpp" or row == "decode_1"]
        if number % 2:
            order.reverse()
        result[row] = {name: sides[name].ask(row) for name in order}
        print(f"round {number + 1}: {row}", file=sys.stderr)
    result["reuse"] = sides["engine"].ask("reuse")
    for row in GAPS:
        result[row] = sides["engine"].ask(row)
    result["roofline"] = measure_roofline(args)
    if paths:
        result["tokenizers"] = measure_tokenizers(args, paths)
    return result


def measure(args):
    paths = None
    if args.data:
        paths = texts.write(args.data, args.scratch)
        paths["smollm2"] = args.model / "tokenizer.json"
    peers = [sys.executable, HERE / "peers.py"]
    env = parts.peer_environment()
    sides = {"engine": parts.Side([args.bin / "engine_bench", args.model]),
             "transformers": parts.Side([*peers, "transformers", args.model], env)}
    if args.gguf:
        sides["llama_cpp"] = parts.Side([*peers, "llama_cpp", args.gguf], env)
    report = {"versions": {}, "model": sides["engine"].ask("model")}
    if "error" in report["model"]:
        sys.exit(f"bench: engine_bench: {report['model']['error']}")
    for name in sides.keys() - {"engine"}:
        report["versions"].update(sides[name].ask("versions"))
    report["rounds"] = [measure_round(args, sides, number, paths) for number in range(args.rounds)]
    for side in sides.values():
        side.close()
    return report


def compare(pairs, key):
    """Spreads of both sides' rates and of their quotient in each round; an error if one failed."""
    for pair in pairs:
        for side in pair.values():
            if "error" in side:
                return {"error": side["error"]}
    names = list(pairs[0])
    ours = [pair["engine"][key] for pair in pairs]
    result = {name: parts.spread(pair[name][key] for pair in pairs) for name in names}
    result["times"] = {
        name: parts.spread(own / pair[name][key] for own, pair in zip(ours, pairs))
        for name in names if name != "engine"}
    return result


def roofline(report, rows):
    """What the machine can do (the best of the rounds) and the engine's shares of it. A decoded
    token reads every weight and the keys and values before it, on average over the completion; a
    prefilled one multiplies the layers' weights (attention and head are not counted)."""
    best = {}
    for each in report["rounds"]:
        for name, rate in each["roofline"].items():
            if name == "error":
                return {"error": rate}
            best[name] = max(rate, best.get(name, 0))
    model = report["model"]
    result = {
        "read_bytes_per_s": best["memory_read/real_time"],
        "flop_per_s": max(rate for name, rate in best.items() if name.startswith("matmul_bf16")),
    }
    context = model["prompt_tokens"] + model["new_tokens"] / 2
    bytes_per_token = model["weight_bytes"] + context * model["kv_bytes_per_token"]
    decode = parts.value(rows, "decode_1.engine.median")
    prefill = parts.value(rows, "prefill_1x1024.engine.median")
    if decode:
        result["decode_share"] = decode * bytes_per_token / result["read_bytes_per_s"]
    if prefill:
        result["prefill_share"] = prefill * model["layer_flop_per_token"] / result["flop_per_s"]
    return result


def summarise(report):
    rounds = report["rounds"]
    rows = {row: compare([each[row] for each in rounds], "tok_per_s") for row in ROWS}
    reuse = [each["reuse"] for each in rounds]
    results = {"rows": rows, "roofline": roofline(report, rows), "tokenizers": {}}
    results["reuse"] = {key: parts.spread(each.get(key) for each in reuse)
                        for key in ("first_ms", "again_ms")}
    results["gaps"] = {row: {key: parts.spread(each[row].get(key) for each in rounds)
                             for key in ("median_ms", "longest_alone_ms", "longest_ms", "times",
                                         "prompt_s")}
                       for row in GAPS}
    for name in rounds[0].get("tokenizers", {}):
        pairs = [each["tokenizers"][name] for each in rounds]
        result = results["tokenizers"][name] = compare(pairs, "mb_per_s")
        result["same_ids"] = all(pair["engine"].get(key) == pair["tokenizers"].get(key)
                                 for pair in pairs for key in ("ids", "ids_sum"))
    return results


def requirements(results):
    """(what, required, seen, holds) for each row of the table."""
    rows = [parts.requirement(f"{ROWS[row]}: times transformers",
                              parts.value(results, f"rows.{row}.times.transformers.median"), bound)
            for row, bound in TIMES.items()]
    rows += [parts.requirement(f"beside a prompt of 6,000, {streams} running: longest gap by median",
                               parts.value(results, f"gaps.{row}.times.median"), at_most=5)
             for row, streams in GAPS.items()]
    for name, result in results["tokenizers"].items():
        what = "tokenizer, " + name.replace("_", ", ")
        rows.append(parts.requirement(f"{what}: MB/s/core",
                                      parts.value(result, "engine.median"), 10))
        rows.append(parts.requirement(f"{what}: times tokenizers",
                                      parts.value(result, "times.tokenizers.median"), 6))
    return rows


def comparison_table(head, peer, rows, form):
    lines = [f"| {head} | Weft | {peer} | times |", "|---|---|---|---|"]
    for what, result in rows:
        if "error" in result:
            reason = " ".join(result["error"].splitlines()[-1:])
            lines.append(f"| {what} | {reason} | | |")
            continue
        cells = [parts.shown(result["engine"], form), parts.shown(result[peer], form),
                 parts.shown(result["times"][peer], "{:.2f}")]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return lines


def gap_table(gaps):
    lines = ["| sequences running | median gap, ms | longest, ms | longest beside a prompt of 6,000, ms "
             "| times the median | its first token, s |", "|---|---|---|---|---|---|"]
    for row, streams in GAPS.items():
        forms = {"median_ms": "{:.1f}", "longest_alone_ms": "{:.1f}", "longest_ms": "{:.1f}",
                 "times": "{:.2f}", "prompt_s": "{:.1f}"}
        cells = [parts.shown(gaps[row][key], form) for key, form in forms.items()]
        lines.append(f"| {streams} | {' | '.join(cells)} |")
    return lines


def llama_lines(row):
    if "llama_cpp" not in row:
        return ["llama.cpp is left out: `WEFT_BENCH_LLAMA=1` builds it."]
    return [f"llama.cpp, the same weights in bf16, decode at batch 1: {parts.shown(row['llama_cpp'])} "
            f"tokens/s; Weft does {parts.shown(row['times']['llama_cpp'], '{:.2f}')} times that."]


def markdown(report, command):
    results = report["results"]
    rows, roof, reuse = results["rows"], results["roofline"], results["reuse"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items())
                         if name != "error")
    lines = [*parts.heading("Engine", report, command),
             "SmolLM2-135M-Instruct in bf16, two threads on both sides, prompts of random ids; decoding "
             "after prompts of 128 tokens, 64 new ones each, without the prefill. Medians of "
             f"{len(report['rounds'])} rounds in which the sides take turns, the range in brackets. "
             f"Peers: {versions}.", "",
             *comparison_table("tokens/s", "transformers",
                               [(what, rows[row]) for row, what in ROWS.items()], "{:.0f}"), "",
             *llama_lines(rows["decode_1"]), ""]
    if results["tokenizers"]:
        lines += [*comparison_table("MB/s on one core", "tokenizers",
                                    [(name.replace("_", ", "), result)
                                     for name, result in results["tokenizers"].items()], "{:.1f}"),
                  ""]
        odd = [name for name, result in results["tokenizers"].items() if not result["same_ids"]]
        lines += [f"Both give the same ids{' but for ' + ', '.join(odd) if odd else ''}.", ""]
    if "error" in roof:
        lines += [f"Rooflines are left out: {roof['error'].splitlines()[-1]}", ""]
    else:
        lines += [f"This machine reads {roof['read_bytes_per_s'] / 1e9:.1f} GB/s and multiplies "
                  f"{roof['flop_per_s'] / 1e9:.0f} GFLOP/s in bf16 on two threads. Decoding at batch "
                  f"1 reaches {roof.get('decode_share', 0):.0%} of the first, prefill of one prompt "
                  f"of 1,024 tokens {roof.get('prefill_share', 0):.0%} of the second.", ""]
    lines += ["Time to the first token of a prompt of 1,024 tokens: "
              f"{parts.shown(reuse['first_ms'], '{:.1f}')} ms, asked again "
              f"{parts.shown(reuse['again_ms'], '{:.1f}')} ms.", "",
              "Gaps between the tokens of a running sequence, alone and while a prompt comes:", "",
              *gap_table(results["gaps"]), "",
              *parts.requirement_table(requirements(results))]
    return "\n".join(lines) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh engine")
    parser.add_argument("--command", required=True, help="as the report gives it")
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--gguf", type=Path, help="the model for llama.cpp; none: left out")
    parser.add_argument("--model", type=Path, default=Path("models/SmolLM2-135M-Instruct"))
    parser.add_argument("--seconds", type=float, default=2, help="of each tokenizer's measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=0, help="that tokenizers run on")
    parser.add_argument("--data", type=Path,
                        help="folder with benchmarks/ and tokenizers/: adds the tokenizers")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    return parser.parse_args()


def main():
    args = parse_arguments()
    args.bin = args.bin.resolve()
    report = parts.start()
    before, began = parts.processor_seconds(), time.monotonic()
    report.update(measure(args))
    report["others_share"] = parts.others_share(before, parts.processor_seconds(),
                                                time.monotonic() - began, os.cpu_count())
    report["results"] = summarise(report)
    parts.write(report, markdown(report, args.command), "engine", args.out)


if __name__ == "__main__":
    main()
