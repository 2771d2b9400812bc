#!/usr/bin/env python3
"""Turns workflows that AFlow or ADAS found into workflow files of Weft.

  scripts/import_workflows.py --format aflow --in ROWS.jsonl --out DIR
  scripts/import_workflows.py --format aflow --in WORKSPACE --out DIR
  scripts/import_workflows.py --format adas --in AGENTS.jsonl --out DIR

AFlow: JSON lines with "graph" and "prompt", a file of runs as analyse_runs reads it, or a folder in
which round_N/ hold graph.py and prompt.py. ADAS: JSON lines with "code", or a JSON array of such
objects, as its archives are. Files may be gzipped.

DIR gets NAME.py for each, which `evaluate` runs as workflow:DIR/NAME.py, and report.json: {"rows",
"translated", "refused": {reason: count}, "workflows": [{"name", "where", "file" or "refused"}]}. A
translation keeps the workflow's own prompts and control flow; operators and agents are those of
scripts/workflow_import/helpers.py. What cannot be translated is refused with its reason. DIR has to be
empty or not there. Exit 0; 1 when nothing was translated or a row is broken; 2 for wrong usage and for
files that cannot be read or written.
"""
import argparse
import ast
import codecs
import collections
import gzip
import importlib.util
import json
import math
import pathlib
import re
import sys
import zlib

from workflow_import import adas, aflow
from workflow_import.text import Helpers, Refused, parse

RULES = pathlib.Path(__file__).resolve().parents[1] / "sandbox" / "runtime" / "workflow_rules.py"
ALLOWED_IMPORTS = {"ast", "asyncio", "collections", "functools", "itertools", "json", "math", "random",
                   "re", "statistics", "string", "typing", "weft"}


def load_rules():
    """The static check that the text of a workflow has to pass."""
    spec = importlib.util.spec_from_file_location("workflow_rules", RULES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(code, rules, caps):
    """Refuses what Weft's static check would."""
    tree = parse(code, "the translation")
    found, reached = rules.refusals(tree)
    for node in ast.walk(tree):
        modules = [each.name for each in node.names] if isinstance(node, ast.Import) else (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        for module in modules:
            if module.split(".")[0] not in ALLOWED_IMPORTS:
                raise Refused(f"import of {module} is not allowed")
    for what in [each[1] for each in found] + [f"import of {each[0]} is not allowed" for each in reached
                                               if each[0] not in ALLOWED_IMPORTS]:
        raise Refused(what)
    nodes = sum(not isinstance(each, ast.expr_context) for each in ast.walk(tree))
    if nodes > caps.max_nodes:
        raise Refused(f"more than {caps.max_nodes} AST nodes (--max-nodes)")
    if len(code.encode()) > caps.max_code_bytes:
        raise Refused(f"more than {caps.max_code_bytes} bytes of code (--max-code-bytes)")


def read_bytes(source):
    with (gzip.open if source.suffix == ".gz" else open)(source, "rb") as file:
        return file.read().removeprefix(codecs.BOM_UTF8)


def parse_json(data):
    """The value of UTF-8 bytes. Raises ValueError."""
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not valid UTF-8: {error.reason} at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("not valid JSON: nested too deep") from error


def rows_of_runs(data):
    """The workflows of a file of runs, as analyse_runs reads it; None where it is something else."""
    try:
        runs = parse_json(data)
    except ValueError:
        return None  # lines
    if not isinstance(runs, dict) or not isinstance(runs.get("workflows"), list):
        return None
    return [{"dataset": runs.get("dataset"), "round": each.get("workflow"), "graph": each.get("graph"),
             "prompt": each.get("prompts") or ""} if isinstance(each, dict) else each
            for each in runs["workflows"]]


def rows_of(source, fields):
    """(where, row or ValueError) of JSON lines, a JSON array or a file of runs."""
    data = read_bytes(source)
    lines = rows_of_runs(data)
    if lines is None:
        lines = parse_json(data) if data.lstrip().startswith(b"[") else data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if isinstance(line, bytes) and not line.strip():
            continue
        where = f"{source}:{number}"
        try:
            row = parse_json(line) if isinstance(line, bytes) else line
        except ValueError as error:
            yield where, ValueError(f"{where}: {error}")
            continue
        bad = [each for each in fields if not isinstance(row, dict) or not isinstance(row.get(each), str)]
        yield where, ValueError(f'{where}: field "{bad[0]}": expected a string') if bad else row


def rounds_of(source):
    """The same of a folder of AFlow's rounds."""
    for graph in sorted(source.rglob("graph.py")):
        prompt = graph.with_name("prompt.py")
        yield str(graph), {"graph": graph.read_text(encoding="utf-8"),
                           "prompt": prompt.read_text(encoding="utf-8") if prompt.exists() else "",
                           "name": "_".join(graph.parent.relative_to(source).parts)}


def name_of(row, taken):
    """A file name that says where a workflow comes from, and is not taken."""
    parts = [str(row[key]) for key in ("dataset", "domain", "kind", "generation", "round", "name")
             if row.get(key) is not None]
    name = re.sub(r"\W+", "_", "_".join(parts)).strip("_")[:80] or "workflow"
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    taken.add(unique)
    return unique


def import_all(rows, translate, rules, caps):
    """(report, broken rows) of rows; writes the files."""
    helpers, taken, listed, refused, broken = Helpers(), set(), [], collections.Counter(), []
    for where, row in rows:
        if isinstance(row, ValueError):
            broken.append(str(row))
            continue
        entry = {"name": name_of(row, taken), "where": where}
        entry.update((key, row[key]) for key in ("mean_score", "fitness", "test_fitness") if key in row)
        try:
            code = translate(row, helpers, caps.temperature)
            check(code, rules, caps)
            entry["file"] = entry["name"] + ".py"
            (caps.out / entry["file"]).write_text(code, encoding="utf-8")
        except (Refused, RecursionError, UnicodeEncodeError) as error:
            entry.pop("file", None)
            reason = ("nested too deep" if isinstance(error, RecursionError) else
                      "holds half of a surrogate pair" if isinstance(error, UnicodeEncodeError) else
                      str(error))
            entry["refused"] = reason
            refused[reason] += 1
        listed.append(entry)
    return {"rows": len(listed), "translated": len(listed) - sum(refused.values()),
            "refused": dict(refused.most_common()), "workflows": listed}, broken


def temperature_of(text):
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text}")
    return value


def make_empty_folder(path):
    """Raises ValueError where there is something in it: no report would tell of that."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"--out: expected a folder, got {path}, which is a file")
    path.mkdir(parents=True, exist_ok=True)
    there = next(path.iterdir(), None)
    if there is not None:
        raise ValueError(f"--out: expected an empty folder, got {path}, which holds {there.name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--format", choices=("aflow", "adas"), required=True)
    parser.add_argument("--in", dest="source", type=pathlib.Path, required=True,
                        help="JSON lines, or of AFlow a folder of rounds")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for the workflow files")
    parser.add_argument("--temperature", type=temperature_of, default=1.0, help="of AFlow's operators")
    parser.add_argument("--max-code-bytes", type=int, default=8192,
                        help="meta_agent.max_code_bytes of the runs that will use them")
    parser.add_argument("--max-nodes", type=int, default=2000, help="likewise meta_agent.max_nodes")
    caps = parser.parse_args()
    if not caps.source.exists():
        parser.error(f"--in: expected a file or a folder, got {caps.source}")
    of_aflow = caps.format == "aflow"
    rows = (rounds_of(caps.source) if of_aflow and caps.source.is_dir() else
            rows_of(caps.source, ("graph", "prompt") if of_aflow else ("code",)))
    try:
        make_empty_folder(caps.out)
        report, broken = import_all(rows, (aflow if of_aflow else adas).translate, load_rules(), caps)
        if not report["rows"] and not broken:
            raise ValueError("expected at least one workflow, got none")
        (caps.out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except (ValueError, OSError, EOFError, zlib.error) as error:
        is_named = getattr(error, "filename", None) or str(error).startswith("--")
        where = "" if is_named else f"{caps.source}: "
        print(f"import_workflows: {where}{error}", file=sys.stderr)
        return 2
    print(f"{report['translated']} of {report['rows']} workflows translated to {caps.out}")
    for reason, count in report["refused"].items():
        print(f"{count} x refused: {reason}")
    for each in broken:
        print(f"import_workflows: {each}", file=sys.stderr)
    return 1 if broken or not report["translated"] else 0


if __name__ == "__main__":
    sys.exit(main())
