"""A scorer of one's own: an answer is worth the share of the gold answer's words that it names."""

import re


def score(answer, task):
    """True, False or a number from 0 to 1. `task` has id, dataset, kind, prompt and answer, the gold one."""
    wanted = set(re.findall(r"\w+", task["answer"].lower()))
    named = set(re.findall(r"\w+", answer.lower()))
    return len(wanted & named) / len(wanted)
