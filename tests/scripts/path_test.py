#!/usr/bin/env python3
"""Runs the README's line for the 7B model from end to end, with a tiny model of its architecture and
template in its place and a server on loopback as teacher and worker. Only sizes, rates and addresses
differ from the published config."""

import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ["WEFT_PROGRAM_DIR"])
CONFIG = "configs/flowreasoner_7b.json"
MODEL = "models/DeepSeek-R1-Distill-Qwen-7B"
KEY = "teacher-key"
PUBLISHED = "tokenizers/templates/deepseek-ai-DeepSeek-R1-Distill-Qwen-32B.jinja"  # the 7B's too
# Its form, where no copy of it is at hand: text without marks for the system, a prompt that opens the
# reasoning, and reasoning that is dropped from earlier answers.
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}{% endif %}"
    "{% endfor %}{% for m in messages %}{% if m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}"
    "{% elif m['role'] == 'assistant' %}{% set content = m['content'] %}{% if '</think>' in content %}"
    "{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{ '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}"
)
SPECIAL = {
    "<|endoftext|>": "<｜begin▁of▁sentence｜>",
    "<|im_start|>": "<｜User｜>",
    "<|im_end|>": "<｜end▁of▁sentence｜>",
}
WORKFLOW = '''One call.
```python
class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem, entry_point):
        # Step 1: answer
        a = await self.llm.call_llm([problem], 1)
        return a[0], 0.0
```'''
PROGRAM = "```python\ndef f(x):\n    return x + 1\n```"


class Server(BaseHTTPRequestHandler):
    """Teacher and worker, told apart by the model's name."""

    keys = set()

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        teacher = request["model"] == "deepseek-reasoner"
        if teacher:
            self.keys.add(self.headers["Authorization"])
        text = WORKFLOW if teacher else PROGRAM
        choices = [
            {
                "index": i,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
            for i in range(request.get("n") or 1)
        ]
        usage = {"prompt_tokens": 10, "completion_tokens": 5 * len(choices)}
        body = json.dumps({"choices": choices, "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def write_model(folder):
    """The fixture of Qwen2's architecture under the published name, with R1's tokens and template."""
    shutil.copytree(ROOT / "tests/fixtures/tiny_qwen2", folder)
    text = (folder / "tokenizer.json").read_text()
    for old, new in SPECIAL.items():
        text = text.replace(old, new)
    (folder / "tokenizer.json").write_text(text)
    data = os.environ.get("WEFT_TEST_DATA")
    template = (Path(data) / PUBLISHED).read_text() if data else TEMPLATE
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer.update(
        chat_template=template,
        bos_token=SPECIAL["<|endoftext|>"],
        eos_token=SPECIAL["<|im_end|>"],
        model_max_length=16384,
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    config = json.loads((folder / "config.json").read_text())
    config["max_position_embeddings"] = 16384
    (folder / "config.json").write_text(json.dumps(config))


def write_tasks(folder):
    folder.mkdir()
    for name in ("train", "validation", "test"):
        rows = []
        for i in range(4):
            prompt = f"add one to x, {i}"
            tests = [{"args": [i], "expected": i + 1}]
            rows.append(
                {
                    "id": f"{name}/{i}",
                    "dataset": "made_up",
                    "kind": "code",
                    "prompt": prompt,
                    "entry_point": "f",
                    "tests": {"public": tests, "val": tests, "hidden": tests},
                }
            )
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def line_of_readme():
    text = (ROOT / "README.md").read_text().split("## The path to 7B and 14B")[1]
    commands = re.search(r"```\n(.*?)```", text, re.S)[1].splitlines()
    return {Path(command.split()[0]).name: command for command in commands}


class PathToTheBigModels(unittest.TestCase):
    def setUp(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.folder = tempfile.TemporaryDirectory()
        self.place = Path(self.folder.name)
        (self.place / "configs").symlink_to(ROOT / "configs")
        (self.place / "models").mkdir()
        write_model(self.place / MODEL)
        write_tasks(self.place / "tasks")
        self.line = line_of_readme()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def words(self, name, sets):
        command = self.line[name].replace("build/release/bin", str(PROGRAMS)).split()
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        return command

    def environment(self):
        return {**os.environ, "TEACHER_API_KEY": KEY}

    def run_program(self, name, sets):
        done = subprocess.run(
            self.words(name, sets), cwd=self.place, env=self.environment(),
            capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, f"{name}\n{done.stderr}")
        return done.stderr

    def read(self, path):
        return json.loads((self.place / path).read_text())

    def lines(self, path):
        return [json.loads(line) for line in (self.place / path).read_text().splitlines()]

    def small_sft(self, **more):
        return {"dtype": "f32", "learn.schedule.warmup_steps": 1, "sequences_per_step": 4, **more}

    def teach_the_base(self):
        """What pretraining gives the published model: it can write a workflow, not always."""
        full = {"learn.full_weights": "true", "learn.schedule.lr": 0.005, "out": "runs/base"}
        self.run_program("train_sft", {**self.small_sft(), **full, "epochs": 25,
                                       "sequences_per_step": 1})  # fmt: skip
        shutil.rmtree(self.place / MODEL)
        (self.place / "runs/base/final").rename(self.place / MODEL)

    def serve_until_valid(self, sets):
        log = self.place / "serve.log"
        with log.open("w") as file:
            program = subprocess.Popen(self.words("serve", sets), cwd=self.place,
                                       env=self.environment(), stdout=file, stderr=file)  # fmt: skip
        try:
            mark, found = r"listening on http://127\.0\.0\.1:(\d+)", None
            while not found and program.poll() is None:
                time.sleep(0.1)
                found = re.search(mark, log.read_text())
            self.assertTrue(found, log.read_text())
            task = json.loads((self.place / "tasks/train.jsonl").read_text().splitlines()[0])
            for _ in range(24):
                connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=100)
                connection.request("POST", "/v1/workflows", json.dumps({"task": task}),
                                   {"Content-Type": "application/json"})
                reply = connection.getresponse()
                answer = json.loads(reply.read())
                connection.close()
                self.assertEqual(reply.status, 200, answer)
                if answer["valid"]:
                    return answer
            self.fail("no workflow was valid")
        finally:
            program.terminate()
            self.assertEqual(program.wait(), 143, log.read_text())

    def test_runs_from_traces_to_serving(self):
        line = ["collect_traces", "train_sft", "train_grpo", "evaluate", "serve"]
        self.assertEqual(list(self.line), line)
        worker = {"worker.remote.base_url": self.url}

        self.run_program("collect_traces", {**worker, "teacher_model.remote.base_url": self.url})
        self.assertEqual(Server.keys, {f"Bearer {KEY}"})
        self.teach_the_base()

        self.run_program("train_sft", self.small_sft())
        summary = self.read("runs/sft/summary.json")
        self.assertEqual(summary["step"], 3)
        adapter = self.read("runs/sft/final/adapter_config.json")
        self.assertEqual(adapter["r"], 64)
        self.assertTrue(adapter["base_model_name_or_path"].endswith(MODEL))

        sizes = {"dtype": "f32", "steps": 2, "prompts_per_step": 4, "max_completion_tokens": 400,
                 "engine.kv_mb": 256, "learn.schedule.warmup_steps": 1,
                 "validation.num_prompts": 2, "validation.samples": 2}  # fmt: skip
        self.run_program("train_grpo", {**worker, **sizes})
        for step in self.lines("runs/grpo/metrics.jsonl"):
            self.assertEqual(step["mismatch_max"], 0)
            self.assertEqual(step["infra_errors"], 0)
        self.assertGreater(self.read("runs/grpo/summary.json")["rewarded_updates"], 0)

        few = {"samples_per_task": 2, "meta_max_tokens": 400, "max_tasks": 2}
        self.run_program("evaluate", {**worker, **few, "dtype": "f32"})
        methods = {m["name"]: m for m in self.read("runs/evaluate/report.json")["methods"]}
        self.assertEqual(
            list(methods), ["io", "io_greedy", "cot", "cot_sc", "sft", "grpo", "other_query"]
        )
        self.assertEqual(methods["io"]["score"], 1)
        self.assertEqual(sum(m["infra_errors"] for m in methods.values()), 0)

        answer = self.serve_until_valid({**worker, "dtype": "f32", "port": 0})
        self.assertIn("class Workflow", answer["workflow"])
        self.assertIn("return x + 1", answer["answer"])


if __name__ == "__main__":
    unittest.main()
