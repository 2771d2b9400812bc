#!/usr/bin/env python3
"""Runs a command and keeps what it took.

    measure.py FILE COMMAND...

FILE: {"seconds", "peak_mb"}; calls for the same FILE add their seconds and keep the largest peak, so
that an interrupted stage is counted whole. peak_mb is the memory that the command and all processes
below it held at once, shared pages shared out (Pss), sampled about once a second, or less often
where the kernel takes long to count. Ends with the command's exit code; SIGTERM is passed on to it.
"""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

INTERVAL_S = 1.0
MAX_SHARE = 0.02  # of one core for sampling


def parents():
    """Parent of every process."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        found[int(stat.parent.name)] = int(fields[1])
    return found


def tree(root):
    children = {}
    for process, parent in parents().items():
        children.setdefault(parent, []).append(process)
    todo, found = [root], []
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def memory_kb(process):
    """Proportional set size; resident set size where that may not be read; 0 for the dead."""
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            for line in Path(f"/proc/{process}/{name}").read_text().splitlines():
                if line.startswith(key):
                    return int(line.split()[1])
        except OSError:
            continue
    return 0


def main():
    file, command = Path(sys.argv[1]), sys.argv[2:]
    kept = json.loads(file.read_text()) if file.exists() else {"seconds": 0.0, "peak_mb": 0.0}
    started = time.monotonic()
    child = subprocess.Popen(command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child as well
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    peak_kb = 0
    while child.poll() is None:
        sampling = time.process_time()
        peak_kb = max(peak_kb, sum(map(memory_kb, tree(child.pid))))
        sampling = time.process_time() - sampling
        try:
            child.wait(max(INTERVAL_S, sampling / MAX_SHARE))
        except subprocess.TimeoutExpired:
            pass
    kept["seconds"] = round(kept["seconds"] + time.monotonic() - started, 1)
    kept["peak_mb"] = max(kept["peak_mb"], round(peak_kb / 1024, 1))
    partial = file.with_name(file.name + ".partial")
    partial.write_text(json.dumps(kept) + "\n")
    os.replace(partial, file)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main())
