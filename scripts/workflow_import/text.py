"""The text of a workflow file, put together from syntax trees."""
import ast
import copy
import pathlib

HELPERS = pathlib.Path(__file__).with_name("helpers.py")
MAX_STEPS = 12
COST = ast.parse("self.llm.get_usage_summary()['total_cost']", mode="eval").body
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
GIVEN = {"exec_code", "extract_code", "create_llm_instance"}  # names that every workflow has


class Refused(Exception):
    """Why a workflow is not translated, one line."""


def parse(text, what):
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise Refused(f"{what} does not parse: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refused(f"{what} does not parse: {type(error).__name__}") from error


def check_callable(function, most=None):
    """Refuses what Weft does not call so: with a task or also its entry point; `most`: arguments with self."""
    arguments, name = function.args, function.name
    names = [each.arg for each in arguments.posonlyargs + arguments.args]
    if names[:1] != ["self"]:
        raise Refused(f"the first argument of {name} is not self")
    if len(names) < 2:
        raise Refused(f"{name} has no argument for the task")
    if most is not None and (len(names) > most or arguments.vararg or arguments.kwarg):
        raise Refused(f"{name} has more arguments than self and the task")
    if len(names) - len(arguments.defaults) > 3:
        raise Refused(f"{name} needs more than self, the task and its entry point")
    if any(default is None for default in arguments.kw_defaults):
        raise Refused(f"{name} has an argument that only a keyword gives")
    if generates(function):
        raise Refused(f"{name} is a generator")


def generates(function):
    """Whether a function yields; those within it and lambdas do so for themselves."""
    left = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, FUNCTIONS + (ast.Lambda, ast.ClassDef)):
            left += ast.iter_child_nodes(node)
    return False


class Helpers:
    """The pieces of helpers.py."""

    def __init__(self):
        self.tree = ast.parse(HELPERS.read_text(encoding="utf-8"))
        self.pieces, self.imports = {}, {}
        for node in self.tree.body:
            if isinstance(node, ast.Import):
                self.imports.update((alias.name, alias.name) for alias in node.names)
            elif isinstance(node, ast.Assign):
                self.pieces[node.targets[0].id] = node
            elif isinstance(node, FUNCTIONS + (ast.ClassDef,)):
                self.pieces[node.name] = node

    def methods(self, name):
        return {each.name: each for each in self.pieces[name].body if isinstance(each, FUNCTIONS)}

    def parameters(self, name):
        """(all, required) of a call to an operator."""
        arguments = self.methods(name)["__call__"].args
        names = [each.arg for each in arguments.args[1:]]
        return names, names[:len(names) - len(arguments.defaults)]

    def keys(self, name):
        """What an operator returns."""
        found = set()
        for node in ast.walk(self.pieces[name]):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                found.update(key.value for key in node.value.keys)
        return found

    def closure(self, names, temperature):
        """(modules to import, pieces in their order) that these names need."""
        needed, modules = set(), set()
        left = list(names)
        while left:
            name = left.pop()
            if name in needed:
                continue
            needed.add(name)
            for node in ast.walk(self.pieces[name]):
                if not isinstance(node, ast.Name):
                    continue
                if node.id in self.pieces:
                    left.append(node.id)
                elif node.id in self.imports:
                    modules.add(node.id)
        pieces = [copy.deepcopy(each) for name, each in self.pieces.items() if name in needed]
        for each in pieces:
            if isinstance(each, ast.Assign):
                each.value = ast.Constant(temperature)
        return modules, pieces


def with_steps(body):
    """The lines of __call__'s body, a step for each statement that calls somebody, the last ones
    together where there are more than MAX_STEPS."""
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    steps, open_step = [], False
    for statement in body:
        if not open_step and len(steps) < MAX_STEPS:
            steps.append([])
        open_step = not any(isinstance(node, (ast.Await, ast.Return)) for node in ast.walk(statement))
        steps[-1].append(statement)
    lines = []
    for i, step in enumerate(steps):
        lines.append(f"# Step {i + 1}:")
        for statement in step:
            lines += ast.unparse(statement).splitlines()
    return lines


def is_self(node, name=None):
    return (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            and node.value.id == "self" and name in (None, node.attr))


def assemble(head, constants, pieces, init, others, call):
    def block(lines, indent):
        return "\n".join(" " * indent + line if line else "" for line in lines)
    arguments = ast.unparse(call.args)
    methods = "".join("\n" + block(ast.unparse(each).splitlines(), 4) + "\n" for each in others)
    parts = ["\n".join(head)] if head else []
    parts += ["\n\n".join(constants)] if constants else []
    parts += [ast.unparse(each) for each in pieces]
    parts.append("class Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
                 + block(init, 8) + "\n" + methods
                 + f"\n    async def __call__({arguments}):\n" + block(with_steps(call.body), 8))
    return "\n\n".join(parts) + "\n"
