#!/usr/bin/env python3
"""Reads exports as TRL and LLaMA-Factory do: load_traces.py ROWS (DIR FORM REASONING)...

Exit 0 when datasets loads each file and its rows have the fields and roles that these trainers look
up, LLaMA-Factory by the folder's own dataset_info.json; 1 with what differs.
"""
import json
import os
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
CACHE = tempfile.TemporaryDirectory()
os.environ["HF_HOME"] = os.environ["HF_DATASETS_CACHE"] = CACHE.name
import datasets  # noqa: E402  its cache is chosen at import

COLUMNS = {"messages": ["messages"], "prompt_completion": ["prompt", "completion"],
           "sharegpt": ["conversations"]}


def check_trl(row, form, reasoning):
    """What its chat templates read."""
    turns = [turn for column in COLUMNS[form] for turn in row[column]]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant"], turns
    if form == "prompt_completion":
        assert [turn["role"] for turn in row["completion"]] == ["assistant"], row
    check_answer(turns[-1]["content"], turns[-1].get("reasoning_content"), reasoning)


def check_llama_factory(row, info, reasoning):
    """What its converter does with the description: a system turn, then pairs of user, assistant."""
    assert info["file_name"] == "traces.jsonl" and info["formatting"] == "sharegpt", info
    tags = {"role_tag": "from", "content_tag": "value", "user_tag": "human",
            "assistant_tag": "gpt", "system_tag": "system", **info.get("tags", {})}
    turns = row[info["columns"]["messages"]]
    roles = [turn[tags["role_tag"]] for turn in turns]
    assert roles == [tags["system_tag"], tags["user_tag"], tags["assistant_tag"]], roles
    check_answer(turns[-1][tags["content_tag"]], turns[-1].get("reasoning_content"), reasoning)


def check_answer(content, field, reasoning):
    assert content.endswith("```") and "```python\n" in content, content
    before = content.split("```python")[0]
    if reasoning == "think":
        assert before.startswith("<think>\n") and before.endswith("\n</think>\n\n"), before
        assert len(before) > len("<think>\n\n</think>\n\n"), before
    elif reasoning == "field":
        assert before == "" and field, (before, field)
    else:
        assert len(before) > 1 and "<think>" not in before, before


def check(folder, form, reasoning, rows):
    data = datasets.load_dataset("json", data_files=os.path.join(folder, "traces.jsonl"), split="train")
    assert len(data) == rows, len(data)
    assert data.column_names == COLUMNS[form], data.column_names
    info = None
    if form != "prompt_completion":
        with open(os.path.join(folder, "dataset_info.json"), encoding="utf-8") as file:
            info = json.load(file)["traces"]
    for row in data:
        if form != "sharegpt":
            check_trl(row, form, reasoning)
        if info:
            check_llama_factory(row, info, reasoning)


datasets.disable_progress_bars()
exports = sys.argv[2:]
for i in range(0, len(exports), 3):
    check(*exports[i:i + 3], int(sys.argv[1]))
