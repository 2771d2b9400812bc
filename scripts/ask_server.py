#!/usr/bin/env python3
"""Starts the server, asks it one query, prints the workflow and the answer, stops it.

    ask_server.py RUN_DIR SERVE_PROGRAM [SERVE_ARGUMENTS...]

Leaves RUN_DIR/served.json, {"status", "answer", "workflow", "valid"}, and RUN_DIR/serve.log. Exit 1
when the server did not come up or did not answer, 143 on SIGTERM; the server ends in any case.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

QUERY = "Write a Python function `count_vowels(text)` that returns how many vowels a string has."
TASK = {
    "prompt": QUERY,
    "kind": "code",
    "entry_point": "count_vowels",
    "tests": {"public": [{"args": ["banana"], "expected": 3}, {"args": ["sky"], "expected": 0}]},
}
START_TIMEOUT_S = 120
ANSWER_TIMEOUT_S = 300
STOP_TIMEOUT_S = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_healthy(process, base):
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"ask_server: the server ended with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(base + "/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    sys.exit(f"ask_server: no /health within {START_TIMEOUT_S} s")


def ask(base):
    body = json.dumps({"task": TASK, "execute": True}).encode()
    request = urllib.request.Request(base + "/v1/workflows", body,
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_TIMEOUT_S) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, {"error": error.read().decode(errors="replace")}
    except OSError as error:
        sys.exit(f"ask_server: no answer from {base}: {error}")


def stop(process):
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    run_dir, program, *arguments = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    port = free_port()
    command = [program, *arguments, "--set", f"port={port}"]
    with open(os.path.join(run_dir, "serve.log"), "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"
        wait_until_healthy(process, base)
        status, reply = ask(base)
    finally:
        stop(process)
    print(f"query: {QUERY}\n\nworkflow:\n{reply.get('workflow', reply.get('error', ''))}\n\n"
          f"answer:\n{reply.get('answer')}\n")
    served = {"status": status, "answer": reply.get("answer"), "valid": reply.get("valid"),
              "workflow": reply.get("workflow")}
    with open(os.path.join(run_dir, "served.json"), "w") as file:
        json.dump(served, file, indent=2)
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
