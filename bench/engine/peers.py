"""Peers of the engine, on two threads.

    peers.py transformers MODEL             # each line of standard input, a row as in
    peers.py llama_cpp GGUF                 # engine_bench.cpp, is answered by a line of JSON
    peers.py tokenizers SECONDS FILE TEXTS  # one core: as tokenizer_bench.cpp
    peers.py make_gguf OUT                  # the default model for llama.cpp, in bf16
"""

import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

THREADS = 2
PROMPT_TOKENS = 128
NEW_TOKENS = 64
LONG_PROMPT = 1024
GROUP = 16
SCORED = 8
FIRST_PLAIN_ID = 17  # those before are SmolLM2's special tokens
VOCABULARY = 49152


class Stamps:
    """A streamer of generate: notes when the prompt and each token are there."""

    def __init__(self):
        self.times = []

    def put(self, _):
        self.times.append(time.perf_counter())

    def end(self):
        pass


class Transformers:
    def __init__(self, model):
        import torch
        import transformers

        torch.set_num_threads(THREADS)
        torch.set_grad_enabled(False)
        torch.manual_seed(1)
        self.torch, self.transformers = torch, transformers
        self.model = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
        self.model.eval()
        self.model.generation_config.eos_token_id = None  # else taken for what a call leaves out
        self.warm = set()

    def versions(self):
        import tokenizers

        return {"transformers": self.transformers.__version__, "torch": self.torch.__version__,
                "tokenizers": tokenizers.__version__}

    def ids(self, batch, tokens):
        return self.torch.randint(FIRST_PLAIN_ID, VOCABULARY, (batch, tokens))

    def generate(self, ids, new_tokens, streamer=None, samples=None):
        """`samples` continuations of each prompt at temperature 1, or the greedy one."""
        sampling = {"do_sample": False}
        if samples:
            sampling = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0,
                        "num_return_sequences": samples}
        config = self.transformers.GenerationConfig(
            max_new_tokens=new_tokens, pad_token_id=0, **sampling)
        out = self.model.generate(ids, attention_mask=self.torch.ones_like(ids),
                                  generation_config=config, streamer=streamer)
        assert out.shape == (len(ids) * (samples or 1), ids.shape[1] + new_tokens), out.shape

    def decode(self, batch, new_tokens=NEW_TOKENS):
        """From the first token of all sequences to the last."""
        stamps = Stamps()
        ids = self.ids(batch, PROMPT_TOKENS)
        start = time.perf_counter()
        self.generate(ids, new_tokens, stamps)
        total = time.perf_counter() - start
        first, last = stamps.times[1], stamps.times[-1]
        assert len(stamps.times) == new_tokens + 1
        return {"tok_per_s": batch * (new_tokens - 1) / (last - first),
                "with_prefill_tok_per_s": batch * new_tokens / total}

    def prefill(self, batch, tokens):
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < 1.5:
            ids = self.ids(batch, tokens)
            before = time.perf_counter()
            self.model(ids, use_cache=True, logits_to_keep=1)
            times.append(time.perf_counter() - before)
        middle = statistics.median(times)
        return {"tok_per_s": batch * tokens / middle, "p50_ms": 1000 * middle}

    def group(self, new_tokens=NEW_TOKENS):
        ids = self.ids(1, LONG_PROMPT)
        start = time.perf_counter()
        self.generate(ids, new_tokens, samples=GROUP)
        seconds = time.perf_counter() - start
        return {"tok_per_s": GROUP * new_tokens / seconds, "s": seconds}

    def score(self):
        ids = self.ids(SCORED, 2 * PROMPT_TOKENS)
        start = time.perf_counter()
        logits = self.model(ids, use_cache=False, logits_to_keep=PROMPT_TOKENS + 1).logits[:, :-1]
        logprobs = self.torch.log_softmax(logits.float(), -1)
        logprobs.gather(-1, ids[:, PROMPT_TOKENS:, None]).sum().item()
        seconds = time.perf_counter() - start
        return {"tok_per_s": ids.numel() / seconds, "ms": 1000 * seconds}

    def warm_up(self, row):
        if row in self.warm:
            return
        self.warm.add(row)
        if row.startswith("decode_"):
            self.decode(int(row[7:]), 4)
        elif row == "group":
            self.group(4)
        elif row == "score":
            self.score()
        elif row.startswith("prefill_"):
            self.model(self.ids(1, LONG_PROMPT))

    def measure(self, row):
        if row == "versions":
            return self.versions()
        self.warm_up(row)
        if row.startswith("decode_"):
            return self.decode(int(row[7:]))
        if row.startswith("prefill_"):
            return self.prefill(*map(int, row[8:].split("x")))
        return {"group": self.group, "score": self.score}[row]()


class LlamaCpp:
    def __init__(self, gguf):
        import llama_cpp

        self.llama_cpp = llama_cpp
        self.random = random.Random(1)
        self.model = llama_cpp.Llama(str(gguf), n_ctx=512, n_threads=THREADS,
                                     n_threads_batch=THREADS, verbose=False)
        self.decode(4)

    def decode(self, new_tokens=NEW_TOKENS):
        ids = [self.random.randrange(FIRST_PLAIN_ID, VOCABULARY) for _ in range(PROMPT_TOKENS)]
        start, times = time.perf_counter(), []
        for _ in self.model.generate(ids, temp=0.0):
            times.append(time.perf_counter())
            if len(times) == new_tokens:
                break
        return {"tok_per_s": (new_tokens - 1) / (times[-1] - times[0]),
                "with_prefill_tok_per_s": new_tokens / (times[-1] - start)}

    def measure(self, row):
        return {"versions": lambda: {"llama-cpp-python": self.llama_cpp.__version__},
                "decode_1": self.decode}[row]()


def tokenizers(seconds, path, texts_path):
    """The faster of the package's two ways to encode on one thread."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    with open(texts_path, encoding="utf-8") as file:
        texts = json.load(file)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6

    def rate(encode):
        times, start = [], time.perf_counter()
        while len(times) < 3 or time.perf_counter() - start < seconds / 2:
            before = time.perf_counter()
            encode()
            times.append(time.perf_counter() - before)
        return megabytes / statistics.median(times)

    before = time.perf_counter()
    ids = [tokenizer.encode(text).ids for text in texts]
    first = megabytes / (time.perf_counter() - before)
    one_by_one = rate(lambda: [tokenizer.encode(text) for text in texts])
    batched = rate(lambda: tokenizer.encode_batch_fast(texts))
    return {"mb_per_s": max(one_by_one, batched), "one_by_one_mb_per_s": one_by_one,
            "batch_mb_per_s": batched, "first_mb_per_s": first, "ids": sum(map(len, ids)),
            "ids_sum": sum(map(sum, ids))}


def make_gguf(out):
    """The weights that the engine has: those of the model's source file, rounded to bf16."""
    import llama_cpp

    sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
    import fetch_default_model

    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_BF16
    options.allow_requantize = True
    options.nthread = THREADS
    with tempfile.TemporaryDirectory() as scratch:
        source = fetch_default_model.download(Path(scratch))
        fetch_default_model.verify(source)
        if llama_cpp.llama_model_quantize(str(source).encode(), out.encode(), options) != 0:
            sys.exit(f"peers.py: llama.cpp could not convert {source}")


def answer_rows(peer):
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(peer.measure(line.strip())), file=answers, flush=True)


def main():
    kind, *words = sys.argv[1:]
    if kind == "transformers":
        answer_rows(Transformers(*words))
    elif kind == "llama_cpp":
        answer_rows(LlamaCpp(*words))
    elif kind == "make_gguf":
        make_gguf(*words)
    else:
        print(json.dumps(tokenizers(float(words[0]), *words[1:])))


if __name__ == "__main__":
    main()
