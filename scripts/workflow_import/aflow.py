"""AFlow's graphs (arXiv:2410.10762) as workflows."""
import ast
import copy

from .text import COST, FUNCTIONS, Refused, assemble, check_callable, is_self, parse

AFLOWS_OWN = {"create_llm_instance", "create", "CostManager", "DatasetType", "operator", "prompt_custom"}


def class_of(tree, name):
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise Refused(f"no class {name}")


def is_text(node):
    """Whether an expression is a string by its form."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.BinOp):
        return is_text(node.left) or is_text(node.right)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and is_text(node.func.value)
    return isinstance(node, ast.JoinedStr)


class _Graph(ast.NodeTransformer):
    """A method of an AFlow graph as one of Weft's."""

    def __init__(self, helpers, operators, prompts):
        self.helpers, self.operators, self.prompts = helpers, operators, prompts
        self.used_prompts = set()

    def visit_Attribute(self, node):
        if ast.unparse(node) == "self.llm.cost_manager.total_cost":
            return copy.deepcopy(COST)
        if isinstance(node.value, ast.Name) and node.value.id == "prompt_custom":
            if node.attr not in self.prompts:
                raise Refused(f"prompt {node.attr} is not in the prompt file")
            if not is_text(parse(self.prompts[node.attr], "the prompt file").body[0].value):
                raise Refused(f"prompt {node.attr} is no text")
            self.used_prompts.add(node.attr)
            return ast.Name(node.attr, ast.Load())
        return self.generic_visit(node)

    def check_format(self, node):
        """Refuses prompt.format(..) that raises: a prompt with braces of its own."""
        name = getattr(node.func.value, "attr", None)
        if node.func.attr != "format" or name not in self.prompts:
            return
        text = parse(self.prompts[name], "the prompt file").body[0].value
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            try:
                text.value.format(*[""] * len(node.args), **{each.arg: "" for each in node.keywords})
            except (LookupError, ValueError, AttributeError) as error:
                raise Refused(f"prompt {name} cannot be formatted: {error}") from error

    def visit_Call(self, node):
        if isinstance(node.func, ast.Attribute):
            self.check_format(node)
        if is_self(node.func) and node.func.attr in self.operators:
            name = self.operators[node.func.attr]
            names, required = self.helpers.parameters(name)
            given = names[:len(node.args)] + [each.arg for each in node.keywords]
            for each in given:
                if each not in names:
                    raise Refused(f"operator {name} has no argument {each}")
            for each in required:
                if each not in given:
                    raise Refused(f"operator {name} is called without {each}")
        return self.generic_visit(node)


def operators_of(init, helpers):
    """{attribute: operator} of an AFlow graph's __init__."""
    operators = {}
    for node in ast.walk(init):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        function = node.value.func
        if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
                and function.value.id == "operator"):
            continue
        bases = getattr(helpers.pieces.get(function.attr), "bases", [])
        if not any(getattr(base, "id", None) == "Operator" for base in bases):
            raise Refused(f"operator {function.attr} is not known")
        if not is_self(node.targets[0]):
            raise Refused(f"operator {function.attr} is no attribute of the workflow")
        operators[node.targets[0].attr] = function.attr
    return operators


def check_keys(call, operators, helpers):
    """Refuses a key that an operator does not return: the workflow would raise, as it does in AFlow."""
    made_by = {}  # name -> operators whose replies it holds, None where it may hold something else
    for node in ast.walk(call):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made_by.setdefault(node.id, [])
    for node in ast.walk(call):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = node.value if isinstance(node, ast.Assign) else None
        asks = (isinstance(value, ast.Await) and isinstance(value.value, ast.Call)
                and is_self(value.value.func))
        for target in targets:
            if isinstance(target, ast.Name):
                made_by[target.id].append(operators.get(value.value.func.attr) if asks else None)
    for node in ast.walk(call):
        if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
                and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)):
            continue
        makers = made_by.get(node.value.id) or [None]
        if None not in makers and not any(node.slice.value in helpers.keys(each) for each in makers):
            raise Refused(f"operator {makers[0]} returns no {node.slice.value}")


def used_operators(call, operators):
    return {node.attr for node in ast.walk(call) if is_self(node) and node.attr in operators}


def translate(row, helpers, temperature):
    tree = parse(row["graph"], "the graph")
    prompts = {node.targets[0].id: ast.get_source_segment(row["prompt"], node)
               for node in parse(row["prompt"], "the prompt file").body
               if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}
    methods = {each.name: each for each in class_of(tree, "Workflow").body
               if isinstance(each, FUNCTIONS)}
    if "__init__" not in methods or not isinstance(methods.get("__call__"), ast.AsyncFunctionDef):
        raise Refused("no __init__ or no async __call__")
    check_callable(methods["__call__"])
    operators = operators_of(methods["__init__"], helpers)
    graph = _Graph(helpers, operators, prompts)
    for name in list(methods):
        if name != "__init__":
            methods[name] = ast.fix_missing_locations(graph.visit(methods[name]))
    call = methods["__call__"]
    check_keys(call, operators, helpers)
    used = set().union(*(used_operators(each, operators) for each in methods.values()))
    modules, pieces = helpers.closure({operators[each] for each in used}, temperature)
    init = ["self.llm = create_llm_instance(llm_config)"]
    init += [f"self.{each} = {operators[each]}(self.llm)" for each in operators if each in used]
    head = imports_of(tree, modules)
    constants = [text for name, text in prompts.items() if name in graph.used_prompts]
    others = [each for name, each in methods.items() if name not in ("__init__", "__call__")]
    return assemble(head, constants, pieces, init, others, call)


def imports_of(tree, modules):
    """Import lines: of the helpers, and of the workflow itself but for AFlow's own packages."""
    lines = {f"import {each}" for each in modules}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            lines.update(f"import {ast.unparse(each)}" for each in node.names
                         if each.asname not in ("operator", "prompt_custom"))
        elif isinstance(node, ast.ImportFrom):
            names = [each for each in node.names if each.name not in AFLOWS_OWN]
            if names and node.module != "typing":
                lines.add(ast.unparse(ast.ImportFrom(node.module, names, node.level)))
    return sorted(lines)
