"""What the reports of all benchmarks share."""

import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def run_json(command, core=None, env=None):
    """What a program prints; {"error": ...} if it fails."""
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env)
    if done.returncode != 0:
        return {"error": done.stderr.strip()[-500:]}
    return json.loads(done.stdout)


def value(results, path):
    """The value under keys joined by dots; None if there is none."""
    for key in path.split("."):
        results = results.get(key) if isinstance(results, dict) else None
    return results


def requirement(what, seen, at_least=None, at_most=None):
    """(what, required, seen, holds) as a line of a report's table."""
    bound = at_least if at_least is not None else at_most
    holds = seen is not None and (seen >= bound if at_least is not None else seen <= bound)
    sign = ">=" if at_least is not None else "<="
    return what, f"{sign} {bound:g}", "-" if seen is None else f"{seen:.4g}", holds


def requirement_table(requirements):
    lines = ["| what | required | seen | holds |", "|---|---|---|---|"]
    for what, required, seen, holds in requirements:
        lines.append(f"| {what} | {required} | {seen} | {'yes' if holds else 'no'} |")
    return lines


def machine():
    with open("/proc/cpuinfo", encoding="ascii") as file:
        facts = dict(reversed([[part.strip() for part in line.split(":", 1)]
                               for line in file if ":" in line]))
    model = facts.get("model name", platform.machine())
    products = [flag for flag in facts.get("flags", "").split() if flag.endswith("_bf16")]
    if products:
        model += f" ({', '.join(products)})"
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def start():
    """The report's first fields, to be taken before anything is measured."""
    return {"date": datetime.date.today().isoformat(), "machine": machine(),
            "load_before": os.getloadavg()[0]}


def processor_seconds():
    """(of the whole machine, of this program and those that it has waited for), so far."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq = map(int, file.readline().split()[1:8])
    everyone = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return everyone, sum(os.times()[:4])


def others_share(before, after, seconds, processors):
    """Share of the machine that other programs used between two processor_seconds()."""
    everyone, own = (end - begin for begin, end in zip(before, after))
    return max(0.0, everyone - own) / (seconds * processors)


def heading(title, report, command):
    load = f"load before: {report['load_before']:.2f}"
    if "others_share" in report:
        load += f"; meanwhile other programs used {report['others_share']:.0%} of it"
    return [f"# {title}, {report['date']}", "", f"`{command}`", "",
            f"Machine: {report['machine']}; {load}.", ""]


def write(report, text, name, out):
    """OUT/DATE-NAME.json and .md; the text is printed, too."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{report['date']}-{name}"
    path.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    path.with_suffix(".md").write_text(text)
    print(text)


def peer_environment():
    """PyTorch's CUDA build starts without a GPU, too, but not without CUDA's libraries."""
    folders = Path(sys.prefix).glob("lib/python3*/site-packages/nvidia/*/lib")
    paths = [*map(str, folders), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return dict(os.environ, LD_LIBRARY_PATH=":".join(paths))


class Side:
    """A program that answers each row's name by a line of JSON. It stays up between rounds, so that
    none of them pays for loading a model."""

    def __init__(self, command, env=None):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(list(map(str, command)), text=True, env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors)

    def ask(self, row):
        try:
            self.process.stdin.write(row + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            return json.loads(answer)
        self.process.wait()
        self.errors.seek(0)
        return {"error": self.errors.read().strip()[-500:] or "no answer"}

    def close(self):
        """Ends the program; what it still had to read is lost."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.stdout.close()
        self.errors.close()
        self.process.wait()


def spread(values):
    """Median, least and largest; None where a round has no value."""
    values = list(values)
    if not values or None in values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def shown(values, form="{:.0f}"):
    """Median and, in brackets, the range of the rounds."""
    if not values:
        return "-"
    middle, low, high = (form.format(values[key]) for key in ("median", "min", "max"))
    return f"{middle} ({low} to {high})"
