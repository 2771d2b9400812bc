"""What a workflow may import. Everything of consequence is a request to the process outside."""

import asyncio as _asyncio
import os as _os
import re as _re
import typing as _typing

import _weft

_TYPING = ("Any", "Callable", "Dict", "Iterable", "List", "Literal", "Optional", "Sequence", "Set",
           "Tuple", "Union")
_futures = {}
_loop = None


class WorkerError(RuntimeError):
    """A request that the outside refused."""


class DatasetType(str):
    """Name of the data set that the problem comes from."""


def _unpack(reply):
    good, value = reply
    if not good:
        raise WorkerError(value)
    return value


def _settle(number, reply):
    future = _futures.pop(number, None)
    if future is not None and not future.done():
        future.set_result(reply)


def _deliver():
    while (received := _weft.receive(False)) is not None:
        _settle(*received)


async def _ask(*request):
    global _loop
    loop = _asyncio.get_running_loop()
    if _loop is not loop:
        loop.add_reader(_weft.fd, _deliver)
        _loop = loop
    future = loop.create_future()
    _futures[_weft.request(*request)] = future
    return _unpack(await future)


def _ask_now(*request):
    number = _weft.request(*request)
    while True:
        received, reply = _weft.receive(True)
        if received == number:
            return _unpack(reply)
        _settle(received, reply)


def _text_of(message):
    if isinstance(message, dict):
        message = message.get("content", "")
    return str(message)


class _Llm:
    def __init__(self, config):
        self.config = config
        self._usage = [0, 0, 0.0]

    async def call_llm(self, messages, temperature=0.0, num_of_response=1, agent_role="",
                       instructions=""):
        if isinstance(messages, (str, dict)):
            messages = [messages]
        texts, prompt_tokens, completion_tokens, usd = await _ask(
            "call_llm", [_text_of(each) for each in messages], float(temperature),
            int(num_of_response), str(agent_role), str(instructions))
        self._usage[0] += prompt_tokens
        self._usage[1] += completion_tokens
        self._usage[2] += usd
        return texts

    def get_usage_summary(self):
        prompt_tokens, completion_tokens, usd = self._usage
        return {"total_cost": usd, "total_input_tokens": prompt_tokens,
                "total_output_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens}


def create_llm_instance(llm_config=None):
    return _Llm(llm_config)


def exec_code(solution, entry_point):
    """Runs the public tests on `solution` outside; "no error", failures or {"exec_fail_case"}.

    Text with a fenced block is read by extract_code, as the workflow's answer is.
    """
    text = str(solution)
    return _ask_now("exec_code", extract_code(text) if "```" in text else text, str(entry_point))


def extract_code(text):
    """The longest fenced block of `text`, or the text itself."""
    blocks = _re.findall(r"```[ \t]*+[\w+-]*+[ \t]*+\r?\n(.*?)(?:```|\Z)", text, _re.DOTALL)
    return max(blocks, key=len).strip("\r\n") if blocks else text.strip()


__all__ = ["DatasetType", "WorkerError", "create_llm_instance", "exec_code", "extract_code"]


def _takes_entry_point(workflow, entry_point):
    """An empty one, as programs have, goes only to a workflow that must have a second argument."""
    function = getattr(type(workflow), "__call__", None)
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    if not entry_point:
        return code.co_argcount - len(function.__defaults__ or ()) > 2
    return code.co_argcount > 2 or bool(code.co_flags & 4)


def _tool(name):
    def tool(*arguments, **keywords):
        return _ask_now("call_tool", name, list(arguments), keywords)

    tool.__name__ = tool.__qualname__ = name
    return tool


def _run(namespace, code, problem, entry_point, dataset, tools):
    for name in _TYPING:
        namespace[name] = getattr(_typing, name)
    for name in __all__:
        namespace[name] = globals()[name]
    for name in tools:
        namespace[name] = globals()[name] = _tool(name)
    exec(compile(code, "<workflow>", "exec"), namespace)
    if "Workflow" not in namespace:
        raise NameError("the code defines no class Workflow")

    async def main():
        workflow = namespace["Workflow"](name="workflow", llm_config={},
                                         dataset=DatasetType(dataset))
        if _takes_entry_point(workflow, entry_point):
            return await workflow(problem, entry_point)
        return await workflow(problem)

    return _asyncio.run(main())


class _Echo:
    """Stands in for the outside: each request is answered at once, by its own fields."""

    def __init__(self):
        self.fd, self._end = _os.pipe()
        self._asked = []
        self._count = 0

    def request(self, *fields):
        self._count += 1
        self._asked.append((self._count, (True, ([str(fields)], 0, 0, 0.0))))
        _os.write(self._end, b".")
        return self._count

    def receive(self, wait):
        if not self._asked:
            return None
        _os.read(self.fd, 1)
        return self._asked.pop()

    def close(self):
        _os.close(self.fd)
        _os.close(self._end)


_FIRST = """
class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem, entry_point=""):
        replies = await self.llm.call_llm([problem], temperature=0.0, num_of_response=1)
        return extract_code(replies[0]), self.llm.get_usage_summary()["total_cost"]
"""


def _warm_up():
    """Runs a workflow often enough that CPython has adapted the code: what it writes then is written
    before the fork, not in every child."""
    global _weft, _loop
    outside = _weft
    for _ in range(16):
        _weft = _Echo()
        _run({"__name__": "workflow", "__builtins__": __builtins__}, _FIRST, "problem", "", "", [])
        _weft.close()
    _weft, _loop = outside, None
