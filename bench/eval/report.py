"""Scores answers in rounds, runs evaluate against a worker of a fixed latency, writes the report."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import report_parts as parts  # noqa: E402
from report_parts import run_json  # noqa: E402

ROWS = Path("tests/fixtures/scorer_rows.jsonl")
IN_FLIGHT = 64
LATENCY_MS = 50


def write_tasks(path, count):
    """Short problems of arithmetic; the worker's answer is right for some of them."""
    with open(path, "w", encoding="ascii") as file:
        for i in range(count):
            a, b = 1 + i % 89, 1 + i // 89 % 97
            file.write(json.dumps({"id": f"sum/{i}", "dataset": "gsm8k", "kind": "math",
                                   "prompt": f"Ann has {a} apples and buys {b} more, for the "
                                             f"{i}th time. How many apples has she now?",
                                   "answer": str(a + b)}) + "\n")


class Memory:
    """Resident megabytes of a process, ten times a second while it runs."""

    def __init__(self, pid):
        self.seen = []
        self.path = f"/proc/{pid}/status"
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            try:
                with open(self.path, encoding="ascii") as file:
                    lines = [line for line in file if line.startswith("VmRSS:")]
            except OSError:
                return
            if not lines:
                return
            self.seen.append(int(lines[0].split()[1]) / 1024)
            time.sleep(0.1)

    def growth(self):
        """Megabytes gained from a quarter of the time on."""
        quarter = len(self.seen) // 4
        return max(self.seen[quarter:]) - self.seen[quarter] if self.seen else None


def evaluate(args, count, latency_ms):
    """Runs io_greedy on `count` tasks; {"s", "growth_mb", ...}."""
    server = subprocess.Popen([args.bin / "eval_bench", "server", str(latency_ms)], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        port = json.loads(server.stdout.readline())["port"]
        with tempfile.TemporaryDirectory() as folder:
            write_tasks(f"{folder}/tasks.jsonl", count)
            settings = {"tasks": f"{folder}/tasks.jsonl", "out": f"{folder}/run",
                        "methods": '["io_greedy"]', "worker.kind": "remote",
                        "worker.remote.base_url": f"http://127.0.0.1:{port}/v1",
                        "worker.remote.model": "bench", "worker.remote.max_concurrent": IN_FLIGHT,
                        "max_in_flight": IN_FLIGHT, "sandbox_slots": os.cpu_count()}
            command = [args.bin / "evaluate"]
            for key, value in settings.items():
                command += ["--set", f"{key}={value}"]
            start = time.monotonic()
            run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
            memory = Memory(run.pid)
            errors = run.communicate()[1]
            seconds = time.monotonic() - start
            if run.returncode != 0:
                return {"error": errors.strip()[-500:]}
            with open(f"{folder}/run/report.json", encoding="utf8") as file:
                method = json.load(file)["methods"][0]
            return {"tasks": count, "s": seconds, "growth_mb": memory.growth(),
                    "peak_mb": max(memory.seen), "score": method["score"],
                    "errors": method["workflow_errors"] + method["infra_errors"]}
    finally:
        server.stdin.close()
        server.wait()


def measure(args):
    """The scorers' rows in rounds, Weft and its peer in turn; then evaluate, once each."""
    rounds = []
    for _ in range(args.rounds):
        peer = [sys.executable, HERE / "peers.py", ROWS, args.seconds]
        rounds.append({
            "text": run_json([args.bin / "eval_bench", "text", ROWS, args.seconds], args.core),
            "math_verify": run_json(peer, args.core),
            "symbols": run_json([args.bin / "eval_bench", "symbols", ROWS, args.seconds,
                                 args.packages.resolve()])})
    at_once = [evaluate(args, args.tasks // 10, 0) for _ in range(args.rounds)]
    waiting = evaluate(args, args.tasks, LATENCY_MS)
    return {"rounds": rounds, "at_once": at_once, "waiting": waiting}


def summarise(measured):
    rounds = measured["rounds"]

    def over_rounds(path):
        return parts.spread(parts.value(each, path) for each in rounds)

    texts = {name: over_rounds(f"text.{name}.per_s") for name in rounds[0]["text"]}
    results = {"text": texts, "symbols": over_rounds("symbols.per_s"),
               "math_verify": over_rounds("math_verify.per_s")}
    spent = [each["s"] / each["tasks"] * 1000 for each in measured["at_once"] if "s" in each]
    results["ms_of_task"] = parts.spread(spent)
    waiting = measured["waiting"]
    if "s" in waiting:
        ideal = waiting["tasks"] / IN_FLIGHT * LATENCY_MS / 1000
        results["waiting"] = {**waiting, "ideal_s": ideal, "times": waiting["s"] / ideal}
    return results


def requirements(results):
    def middle(spread):
        return spread["median"] if spread else None

    rows = [parts.requirement(f"{name}: answers/s on one core", middle(spread), at_least=50000)
            for name, spread in results["text"].items()]
    return rows + [
        parts.requirement("answers/s that SymPy is asked about", middle(results["symbols"]), 200),
        parts.requirement("a task of evaluate with a worker that answers at once, ms",
                          middle(results["ms_of_task"]), at_most=2),
        parts.requirement(f"{IN_FLIGHT} in flight, {LATENCY_MS} ms each: times the ideal time",
                          parts.value(results, "waiting.times"), at_most=1.15)]


def markdown(report, command):
    results = report["results"]
    lines = [*parts.heading("Scorers and evaluate", report, command),
             f"Texts: the rows of `{ROWS}`, on one core; what only symbols can tell is counted as text "
             "here and asked of SymPy in jails, one for each core, in its own row. "
             "evaluate runs io_greedy, each task a "
             f"workflow in a jail, {IN_FLIGHT} in flight, against a server on this machine; its time is "
             "the whole program's, with start and reports. Medians of "
             f"{report['num_rounds']} rounds, the range in brackets.", "",
             "| scorer | answers/s |", "|---|---|"]
    lines += [f"| {name} | {parts.shown(spread)} |" for name, spread in results["text"].items()]
    lines += [f"| math with SymPy, {os.cpu_count()} jails | {parts.shown(results['symbols'])} |",
              "| math-verify 0.8.0 on the rows of math, one core | "
              f"{parts.shown(results['math_verify'])} |"]
    waiting = results.get("waiting")
    if waiting:
        lines += ["", f"{waiting['tasks']} tasks took {waiting['s']:.1f} s, ideal is "
                  f"{waiting['ideal_s']:.1f} s; evaluate held at most {waiting['peak_mb']:.0f} MB and "
                  f"gained {waiting['growth_mb']:.0f} MB after the first quarter of its time."]
    lines += ["", *parts.requirement_table(requirements(results))]
    return "\n".join(lines) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench.sh eval")
    parser.add_argument("--command", required=True, help="as the report gives it")
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--packages", type=Path, required=True, help="folder with SymPy")
    parser.add_argument("--seconds", type=float, default=2, help="of each scorer in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=10000)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    return parser.parse_args()


def main():
    args = parse_arguments()
    args.bin = args.bin.resolve()
    report = parts.start()
    report["num_rounds"] = args.rounds
    before, began = parts.processor_seconds(), time.monotonic()
    report["measured"] = measure(args)
    report["others_share"] = parts.others_share(before, parts.processor_seconds(),
                                                time.monotonic() - began, os.cpu_count())
    report["results"] = summarise(report["measured"])
    parts.write(report, markdown(report, args.command), "eval", args.out)


if __name__ == "__main__":
    main()
