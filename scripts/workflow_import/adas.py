"""ADAS's agents (arXiv:2408.08435) as workflows."""
import ast
import builtins
import copy

from .text import COST, FUNCTIONS, GIVEN, Refused, assemble, check_callable, is_self, parse


class _Agent(ast.NodeTransformer):
    """A `forward` of ADAS as the body of an async __call__: agents are awaited."""

    def __init__(self, plain):
        self.plain = plain  # names whose calls ask no agent
        self.depth = 0  # of nested functions

    def visit_Call(self, node):
        self.generic_visit(node)
        function = node.func
        if isinstance(function, ast.Name):
            if function.id == "LLMAgentBase":
                node.args.insert(0, ast.parse("self.llm", mode="eval").body)
                return node
            plain = (function.id in self.plain or hasattr(builtins, function.id)
                     or function.id in GIVEN)
            return node if plain else ast.Await(node)
        if isinstance(function, (ast.Subscript, ast.Call, ast.IfExp)):
            return ast.Await(node)
        return node

    def visit_GeneratorExp(self, node):
        self.generic_visit(node)
        awaits = any(isinstance(each, ast.Await) for each in ast.walk(node))
        return ast.ListComp(node.elt, node.generators) if awaits else node

    def visit_Lambda(self, node):
        self.generic_visit(node)
        if any(isinstance(each, ast.Await) for each in ast.walk(node)):
            raise Refused("a lambda asks an agent")
        return node

    def visit_FunctionDef(self, node):
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        return ast.AsyncFunctionDef(**{name: getattr(node, name, None) for name in node._fields})

    def visit_ClassDef(self, node):
        raise Refused(f"class {node.name} within the agent")

    def visit_Return(self, node):
        self.generic_visit(node)
        if self.depth == 0:
            answer = ast.Call(ast.Name("answer_text", ast.Load()), [node.value or ast.Constant(None)], [])
            node.value = ast.Tuple([answer, copy.deepcopy(COST)], ast.Load())
        return node


def plain_names(tree):
    """Names that stand for imported things."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
    return names


def check_names(forward, helpers):
    """Refuses what only ADAS's own harness knows."""
    bound = {"self"} | GIVEN | set(helpers.pieces) | plain_names(forward)
    assigned_on_self = {node.attr for node in ast.walk(forward)
                        if is_self(node) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(forward):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, FUNCTIONS + (ast.ClassDef,)):
            bound.add(node.name)
    for node in ast.walk(forward):
        if is_self(node) and node.attr not in assigned_on_self:
            raise Refused(f"self.{node.attr} is of ADAS's harness")
        if isinstance(node, ast.Name) and node.id not in bound and not hasattr(builtins, node.id):
            raise Refused(f"{node.id} is not defined")


def translate(row, helpers, _temperature):
    tree = parse(row["code"], "the code")
    forward = next((each for each in tree.body if isinstance(each, ast.FunctionDef)
                    and each.name == "forward"), None)
    if forward is None:
        raise Refused("no function forward")
    check_callable(forward, most=2)
    check_names(forward, helpers)
    imports = [each for each in ast.walk(tree) if isinstance(each, (ast.Import, ast.ImportFrom))]
    lambdas = {node.targets[0].id for node in ast.walk(forward) if isinstance(node, ast.Assign)
               and isinstance(node.value, ast.Lambda) and isinstance(node.targets[0], ast.Name)}
    agent = _Agent({"Info"} | plain_names(tree) | lambdas)
    body = [agent.visit(each) for each in forward.body]
    task = (forward.args.posonlyargs + forward.args.args)[1].arg
    first = ast.parse(f"{task} = Info('task', 'User', problem, -1)").body
    call = ast.parse("async def __call__(self, problem): pass").body[0]
    call.body = first + body
    ast.fix_missing_locations(call)
    modules, pieces = helpers.closure({"Info", "LLMAgentBase", "answer_text"}, 0)
    head = sorted({f"import {each}" for each in modules} | {ast.unparse(each) for each in imports})
    return assemble(head, [], pieces, ["self.llm = create_llm_instance(llm_config)"], [], call)
