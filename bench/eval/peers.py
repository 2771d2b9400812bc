"""math-verify on the rows of mathematics: answers a second on this core, as JSON."""

import json
import sys
import time

from math_verify import parse, verify


def main():
    path, seconds = sys.argv[1], float(sys.argv[2])
    with open(path, encoding="utf8") as file:
        rows = [json.loads(line) for line in file]
    rows = [(row["answer"], row["prediction"]) for row in rows
            if row["dataset"] == "math" and "scorer" not in row]
    start, answers = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        gold, prediction = rows[answers % len(rows)]
        verify(parse("$" + gold + "$"), parse(prediction))
        answers += 1
    print(json.dumps({"per_s": answers / (time.monotonic() - start), "answers": answers}))


if __name__ == "__main__":
    main()
