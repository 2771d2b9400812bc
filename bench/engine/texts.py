"""Texts and a tokenizer that the tokenizers are measured with, put together from the test data.

    texts.py DATA OUT    # writes OUT/english.json, OUT/code.json and OUT/qwen2/tokenizer.json
"""

import gzip
import json
import sys
from pathlib import Path

# As the Qwen2 models' own tokenizer.json has it.
QWEN2_REGEX = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def rows(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def english(benchmarks):
    """HotpotQA's paragraphs, those of one question together as one text."""
    return ["\n\n".join(title + "\n" + "".join(sentences) for title, sentences in row["context"])
            for row in rows(benchmarks / "aflow_hotpotqa_validate.jsonl")]


def code(benchmarks):
    """Python: problems of BigCodeBench, HumanEval and MBPP with solutions and tests."""
    texts = [row["complete_prompt"] + row["canonical_solution"] + "\n\n" + row["test"]
             for row in rows(benchmarks / "bigcodebench_stdlib_a.jsonl")]
    texts += [row["prompt"] + row["canonical_solution"] + "\n\n" + row["test"]
              for row in rows(benchmarks / "humaneval.jsonl")]
    texts += ["\n".join([row["code"], *row["test_list"]]) + "\n"
              for row in rows(benchmarks / "mbpp.jsonl")]
    return texts


def qwen2(tokenizers):
    """Qwen2's tokenizer.json out of its vocabulary and merges."""
    config = json.loads((tokenizers / "qwen2.5-tokenizer_config.json").read_text())
    with gzip.open(tokenizers / "derived-qwen2-vocab.json.gz", "rt", encoding="utf-8") as file:
        vocab = json.load(file)
    with gzip.open(tokenizers / "derived-qwen2-merges.txt.gz", "rt", encoding="utf-8") as file:
        merges = [line.rstrip("\n") for line in file]
    bytes_as_letters = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": int(number), **token}
                         for number, token in config["added_tokens_decoder"].items()],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": QWEN2_REGEX}, "behavior": "Isolated",
                 "invert": False},
                {"type": "ByteLevel", **bytes_as_letters},
            ],
        },
        "post_processor": {"type": "ByteLevel", **bytes_as_letters},
        "decoder": {"type": "ByteLevel", **bytes_as_letters},
        "model": {
            "type": "BPE",
            "vocab": vocab,
            "merges": [line for line in merges if line and not line.startswith("#version")],
        },
    }


def write(data, out):
    """Paths of the written files by their names in the report."""
    (out / "qwen2").mkdir(parents=True, exist_ok=True)
    paths = {"english": out / "english.json", "code": out / "code.json",
             "qwen2": out / "qwen2" / "tokenizer.json"}
    paths["english"].write_text(json.dumps(english(data / "benchmarks")))
    paths["code"].write_text(json.dumps(code(data / "benchmarks")))
    paths["qwen2"].write_text(json.dumps(qwen2(data / "tokenizers")))
    return paths


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
