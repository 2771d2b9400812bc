"""A reward of one's own: passed tests, the more for fewer tokens of the worker."""


def reward(workflow, outcome, task):
    """A finite number for one run of `workflow` on `task`, a term of its reward."""
    if outcome["status"] != "scored":
        return -0.5
    tokens = outcome["prompt_tokens"] + outcome["completion_tokens"]
    return outcome["pass_rate"] / (1 + tokens / 1000)
