"""What imported workflows call: AFlow's operators and ADAS's agents over Weft's call_llm.

Not run as it stands: scripts/import_workflows.py copies what a workflow needs into it. Interfaces and
what each does follow AFlow (arXiv:2410.10762) and ADAS (arXiv:2408.08435) as released; the words
of the prompts are our own.
"""
import collections
import json
import random
import re

from weft import exec_code, extract_code

TEMPERATURE = 1.0


def field(text, name):
    """What stands in <name>..</name>; empty where it does not."""
    found = re.search(rf"<{name}>(.*?)(?:</{name}>|\Z)", text, re.DOTALL)
    return found.group(1).strip() if found else ""


class Operator:
    def __init__(self, llm):
        self.llm = llm

    async def ask(self, text):
        return (await self.llm.call_llm([text], TEMPERATURE))[0]


class Custom(Operator):
    async def __call__(self, input, instruction):
        return {"response": await self.ask(instruction + input)}


class AnswerGenerate(Operator):
    async def __call__(self, input):
        reply = await self.ask(
            f"{input}\n\nReason step by step within <thought></thought>, then give the answer alone, "
            "as short as it can be, within <answer></answer>.")
        return {"thought": field(reply, "thought"), "answer": field(reply, "answer") or reply.strip()}


class CustomCodeGenerate(Operator):
    async def __call__(self, problem, entry_point, instruction):
        reply = await self.ask(
            f"{instruction}{problem}\n\nReply with one ```python block that defines `{entry_point}`.")
        return {"response": extract_code(reply)}


class ScEnsemble(Operator):
    async def __call__(self, solutions, problem=""):
        letters = [chr(ord("A") + i) for i in range(len(solutions))]
        listed = "\n\n".join(f"{a}:\n{each}" for a, each in zip(letters, solutions))
        reply = await self.ask(
            f"{problem}\n\nCandidate solutions:\n\n{listed}\n\nWhich one agrees with most of the others? "
            "Give its letter alone within <letter></letter>.")
        found = re.findall(r"\b([A-Z])\b", field(reply, "letter") or reply)
        chosen = found[-1] if found and found[-1] in letters else "A"
        return {"response": solutions[letters.index(chosen)]}


class MdEnsemble(Operator):
    def __init__(self, llm, vote_count=5):
        self.llm = llm
        self.vote_count = vote_count

    async def __call__(self, solutions, problem=""):
        votes = [0] * len(solutions)
        for _ in range(self.vote_count):
            order = random.sample(range(len(solutions)), len(solutions))
            listed = "\n\n".join(
                f"{chr(ord('A') + i)}:\n{solutions[each]}" for i, each in enumerate(order))
            reply = await self.ask(
                f"{problem}\n\nCandidate solutions:\n\n{listed}\n\nWhich one is best? Give its letter "
                "alone within <letter></letter>.")
            found = re.findall(r"\b([A-Z])\b", field(reply, "letter") or reply)
            place = ord(found[-1]) - ord("A") if found else 0
            votes[order[place if place < len(order) else 0]] += 1
        return {"solution": solutions[votes.index(max(votes))]}


class Programmer(Operator):
    async def __call__(self, problem, analysis="None"):
        code, output = "", ""
        for _ in range(3):
            fault = f"\n\nThis program failed:\n{code}\n{output}" if code else ""
            code = extract_code(await self.ask(
                f"{problem}\n\nAnalysis: {analysis}{fault}\n\nWrite a Python function solve() without "
                "arguments that computes and returns the answer, in one ```python block."))
            # What is raised is all of a run that comes back where a query has no tests.
            ran = exec_code(code + "\n\nraise RuntimeError('<<' + str(solve()) + '>>')\n", "solve")
            output = str(ran["exec_fail_case"] if isinstance(ran, dict) else ran)
            found = re.search("<<(.*)>>", output, re.DOTALL)
            if found:
                return {"code": code, "output": found.group(1)}
        return {"code": code, "output": output}


class Test(Operator):
    async def __call__(self, problem, solution, entry_point, test_loop=3):
        found = exec_code(solution, entry_point)
        for _ in range(test_loop):
            if found == "no error":
                break
            reply = await self.ask(
                f"{problem}\n\nThis solution fails:\n\n{solution}\n\nWhat its tests showed:\n{found}\n\n"
                f"Reply with one ```python block that defines `{entry_point}` and passes them.")
            solution = extract_code(reply)
            found = exec_code(solution, entry_point)
        return {"result": found == "no error", "solution": solution}


class Review(Operator):
    async def __call__(self, problem, solution):
        reply = await self.ask(
            f"{problem}\n\nA solution:\n\n{solution}\n\nReview it. Within <right></right> write no if you "
            "are more than 95 % sure that it is wrong, else yes; within <feedback></feedback> say why.")
        return {"review_result": field(reply, "right").lower() != "no",
                "feedback": field(reply, "feedback") or reply.strip()}


class Revise(Operator):
    async def __call__(self, problem, solution, feedback):
        return {"solution": await self.ask(
            f"{problem}\n\nA solution:\n\n{solution}\n\nFeedback on it:\n{feedback}\n\nWrite the solution "
            "anew, with the feedback heeded, and nothing else.")}


class Format(Operator):
    async def __call__(self, problem, solution):
        return {"solution": await self.ask(
            f"{problem}\n\nA solution:\n\n{solution}\n\nGive its final answer alone, as short as it can be.")}


class Info(collections.namedtuple("Info", "name author content iteration_idx")):
    """What somebody has said."""


def told(info):
    """How an agent is shown what another has said."""
    if not isinstance(info, Info):
        return str(info)
    return f"### {info.name} by {info.author}:\n{info.content}\n"


def answer_text(info):
    return str(info.content if isinstance(info, Info) else info)


class LLMAgentBase:
    def __init__(self, llm, output_fields, agent_name, role="helpful assistant", temperature=0.5):
        self.llm, self.output_fields, self.agent_name = llm, output_fields, agent_name
        self.role, self.temperature = role, temperature

    async def __call__(self, input_infos, instruction, iteration_idx=-1):
        parts = "\n".join(told(each) for each in input_infos)
        keys = ", ".join(f'"{each}"' for each in self.output_fields)
        reply = (await self.llm.call_llm(
            [f"{parts}\n{instruction}\n\nReply with one JSON object of these keys, each with a text: {keys}."],
            self.temperature, agent_role=f"{self.agent_name}, a {self.role}"))[0]
        said = {}
        try:
            found = json.loads(reply[reply.find("{"):reply.rfind("}") + 1], strict=False)
            said = found if isinstance(found, dict) else {}
        except ValueError:
            said = {self.output_fields[-1]: reply}
        return [Info(each, self.agent_name, str(said.get(each, "")), iteration_idx)
                for each in self.output_fields]
