"""Peers of the trainer, on two threads.

    peers.py full MODEL       # transformers, fused AdamW on fp32 weights, bf16 by autocast
    peers.py full_bf16 MODEL  # the same on bf16 weights: states in bf16
    peers.py lora MODEL       # peft over the bf16 model
    peers.py grpo MODEL       # TRL's GRPOTrainer with that adapter, rollouts included

Each line of standard input is answered by a line of JSON: "step" by the figures of a step as in
train_bench.cpp, "versions" by those of the packages.
"""

import json
import os
import random
import resource
import sys
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

THREADS = 2
SEQUENCES = 4
SEQUENCE_TOKENS = 512
PROMPTS = 2
SAMPLES = 8
PROMPT_TOKENS = 128
NEW_TOKENS = 200
FIRST_PLAIN_ID = 17  # those before are SmolLM2's special tokens
VOCABULARY = 49152
RATE = 1e-6
RANK, ALPHA = 16, 32
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def versions():
    import peft
    import torch
    import transformers
    import trl

    return {module.__name__: module.__version__ for module in (torch, transformers, peft, trl)}


def load(model, fp32=False):
    import torch
    import transformers

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    dtype = torch.float32 if fp32 else torch.bfloat16
    return transformers.AutoModelForCausalLM.from_pretrained(model, dtype=dtype)


class Sft:
    def __init__(self, kind, path):
        self.model = load(path, fp32=kind == "full")
        import torch

        self.torch = torch
        self.autocast = kind == "full"
        if kind == "lora":
            import peft

            config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS)
            self.model = peft.get_peft_model(self.model, config)
        self.model.train()
        trained = [each for each in self.model.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=RATE, fused=True)
        self.trained = trained

    def step(self):
        torch = self.torch
        ids = torch.randint(FIRST_PLAIN_ID, VOCABULARY, (SEQUENCES, SEQUENCE_TOKENS))
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            loss = self.model(ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        loss.item()
        seconds = time.perf_counter() - start
        return {"s": seconds, "tokens": ids.numel(), "tok_per_s": ids.numel() / seconds}


def prompts(tokenizer, count):
    """Texts of about PROMPT_TOKENS random ids each, never twice the same."""
    draw = random.Random(1)
    return [tokenizer.decode([draw.randrange(FIRST_PLAIN_ID, VOCABULARY)
                              for _ in range(PROMPT_TOKENS)]) for _ in range(count)]


def serve_grpo(path, answers):
    """GRPOTrainer has the loop; a callback waits for a line before each step and answers it after."""
    import datasets
    import peft
    import transformers
    import trl

    model = load(path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    draw = random.Random(2)
    rollout = {}

    def reward(completions, completion_ids, **_):
        assert all(len(ids) == NEW_TOKENS for ids in completion_ids), list(map(len, completion_ids))
        rollout["end"] = time.perf_counter()
        return [draw.random() for _ in completions]

    class Turns(transformers.TrainerCallback):
        def on_step_begin(self, _, state, control, **__):
            for line in sys.stdin:
                if line.strip() == "step":
                    self.start = time.perf_counter()
                    return control
                print(json.dumps(versions()), file=answers, flush=True)
            os._exit(0)

        def on_step_end(self, _, state, control, **__):
            seconds = time.perf_counter() - self.start
            tokens = PROMPTS * SAMPLES * NEW_TOKENS
            print(json.dumps({"s": seconds, "tokens": tokens, "tok_per_s": tokens / seconds,
                              "rollout_s": rollout["end"] - self.start, "peak_mb": peak_mb()}),
                  file=answers, flush=True)
            return control

    with tempfile.TemporaryDirectory() as scratch:
        config = trl.GRPOConfig(
            output_dir=scratch, use_cpu=True, bf16=False, gradient_checkpointing=False,
            per_device_train_batch_size=PROMPTS * SAMPLES, num_generations=SAMPLES,
            gradient_accumulation_steps=1, steps_per_generation=1, num_iterations=1,
            max_completion_length=NEW_TOKENS, temperature=1.0, top_p=1.0, top_k=0, beta=0.0,
            generation_kwargs={"min_new_tokens": NEW_TOKENS}, learning_rate=RATE, max_steps=1000,
            optim="adamw_torch_fused", save_strategy="no", report_to=[], logging_steps=10**6,
            disable_tqdm=True, dataloader_num_workers=0)
        trainer = trl.GRPOTrainer(
            model=model, reward_funcs=reward, args=config, processing_class=tokenizer,
            train_dataset=datasets.Dataset.from_dict({"prompt": prompts(tokenizer, 4000)}),
            peft_config=peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS),
            callbacks=[Turns()])
        trainer.train()


def serve_sft(kind, path, answers):
    peer = Sft(kind, path)
    for line in sys.stdin:
        row = line.strip()
        answer = versions() if row == "versions" else {**peer.step(), "peak_mb": peak_mb()}
        print(json.dumps(answer), file=answers, flush=True)


def main():
    kind, path = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr
    if kind == "grpo":
        serve_grpo(path, answers)
    else:
        serve_sft(kind, path, answers)


if __name__ == "__main__":
    main()
