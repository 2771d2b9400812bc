#!/usr/bin/env python3
"""Write train.jsonl, validation.jsonl, test.jsonl and references.jsonl from the family tables.

    make_tasks.py            # write the files
    make_tasks.py --check    # exit 1 if a file is not what the tables give

A row of a table is (signature, what the function does, reference, kinds of its arguments[,
hint]). The reference is one expression, or a body that begins with a newline. The hint is a
second sentence for the prompt; SHOWN stands for one that names the reference expression.
Arguments are drawn with a seed that depends on the task's name alone, so a new row changes no
other task; expected values come from the reference; a float is compared with a tolerance. The
tests of a task are disjoint.
"""

import argparse
import copy
import json
import random
import sys
from pathlib import Path

import families_test
import families_train
import families_validation
from kinds import SHOWN, arguments

HERE = Path(__file__).resolve().parent
SPLITS = {
    "train": families_train.FAMILIES,
    "validation": families_validation.FAMILIES,
    "test": families_test.FAMILIES,
}
PARTS = (("public", 3), ("val", 5), ("hidden", 8))
NUM_TESTS = sum(count for _, count in PARTS)
NUM_DRAWS = 300
WORDINGS = (
    "Write a Python function `{}` that {}.",
    "Implement a Python function `{}` that {}.",
    "Write `{}`, a Python function that {}.",
    "Define a function `{}` in Python that {}.",
    "Please write a Python function `{}` which {}.",
)


def reference_code(signature, reference):
    if reference.startswith("\n"):
        body = reference.strip("\n").replace("\n", "\n    ")
    else:
        body = "return " + reference
    return f"def {signature}:\n    {body}\n"


def varied(cases, rng):
    """NUM_TESTS cases, taking expected values in turn, so that a bool has both answers."""
    groups = {}
    for case in cases:
        groups.setdefault(json.dumps(case["expected"], sort_keys=True), []).append(case)
    chosen, queues = [], list(groups.values())
    while len(chosen) < NUM_TESTS and queues:
        queues = [queue for queue in queues if queue]
        chosen += [queue.pop(0) for queue in queues[: NUM_TESTS - len(chosen)]]
    rng.shuffle(chosen)
    return chosen


def is_echo(case):
    return case["args"][0] == case["expected"]


def refuse_trivial_answers(tests):
    """Neither a constant nor an echo of the first argument passes val: where one would, the first
    test changes places with a hidden one that it fails."""
    val, hidden = tests["val"], tests["hidden"]
    for passes in (lambda case: case["expected"] == val[-1]["expected"], is_echo):
        if not all(map(passes, val)):
            continue
        other = next(i for i, case in enumerate(hidden) if not passes(case))
        val[0], hidden[other] = hidden[other], val[0]


def make_tests(name, code, kinds):
    rng = random.Random(f"weft {name}")
    scope = {}
    exec(code, scope)
    cases = {}
    for _ in range(NUM_DRAWS):
        args = arguments(kinds, rng)
        expected = scope[name](*copy.deepcopy(args))
        case = {"args": args, "expected": expected}
        if isinstance(expected, float):
            case["compare"] = {"abs": 1e-9, "rel": 1e-9}
        cases.setdefault(json.dumps(args), case)
    chosen = varied(list(cases.values()), rng)
    if len(chosen) < NUM_TESTS:
        raise SystemExit(f"{name}: expected {NUM_TESTS} different tests, got {len(chosen)}")
    tests, start = {}, 0
    for part, count in PARTS:
        tests[part] = chosen[start : start + count]
        start += count
    refuse_trivial_answers(tests)
    return tests


def make_task(family, row):
    signature, what, reference, kinds, hint = (*row, "")[:5]
    name = signature.split("(")[0]
    code = reference_code(signature, reference)
    wording = WORDINGS[random.Random(f"wording {name}").randrange(len(WORDINGS))]
    prompt = wording.format(signature, what)
    if hint:
        prompt += " " + (f"Use `{reference}`." if hint == SHOWN else hint)
    task = {
        "id": f"builtin/{family}/{name}",
        "dataset": "builtin",
        "kind": "code",
        "prompt": prompt,
        "entry_point": name,
        "family": family,
        "tests": make_tests(name, code, kinds),
    }
    return task, {"id": task["id"], "code": code}


def make_files():
    files, references, seen = {}, [], {}
    for split, families in SPLITS.items():
        lines = []
        for family, rows in families.items():
            if seen.setdefault(family, split) != split:
                raise SystemExit(f"family {family} is in {seen[family]} and in {split}")
            for row in rows:
                task, reference = make_task(family, row)
                lines.append(json.dumps(task))
                references.append(json.dumps(reference))
        files[f"{split}.jsonl"] = lines
    files["references.jsonl"] = references
    return {name: "\n".join(lines) + "\n" for name, lines in files.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    stale = []
    for name, text in make_files().items():
        path = HERE / name
        if args.check and (not path.is_file() or path.read_text() != text):
            stale.append(name)
        elif not args.check:
            path.write_text(text)
    if stale:
        print(f"not up to date: {', '.join(stale)}; run {Path(__file__).name}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
