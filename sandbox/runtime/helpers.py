"""Trusted helpers of the sandbox, run in the jail on text they never execute."""

import ast
from _sha256 import sha256

_CONTEXTS = (ast.Load, ast.Store, ast.Del)
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_PROMPT_CHARS = 20  # shorter strings are keys and separators, not prompts


def _called_name(call):
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _signature(node):
    """What makes a node distinct: type, operator or called name, hash of a prompt's text."""
    kind = type(node).__name__
    if isinstance(node, ast.Call):
        return kind, _called_name(node)
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.UnaryOp, ast.AugAssign)):
        return kind, type(node.op).__name__
    if isinstance(node, ast.Compare):
        return kind, ",".join(type(op).__name__ for op in node.ops)
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, str) and len(value) >= _PROMPT_CHARS:
            text = " ".join(value.lower().split())
            return kind, sha256(text.encode("utf-8", "replace")).hexdigest()
        return kind, type(value).__name__
    return kind, ""


def _drop_docstring(node):
    body = node.body
    if (
        body
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        del body[0]


def _catches_all(handler):
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = ("Exception", "BaseException")
    return any(
        each is None
        or (isinstance(each, ast.Name) and each.id in names)
        or (isinstance(each, ast.Attribute) and each.attr in names)
        for each in types
    )


def _imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


def _workflow_class(tree):
    """(defines class Workflow, which defines async __call__)"""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "Workflow":
            return True, any(
                isinstance(item, ast.AsyncFunctionDef) and item.name == "__call__"
                for item in node.body
            )
    return False, False


def _stable_hash(tree):
    """Of the exact tree, without recursion and without the attributes that hold positions."""
    digest = sha256()
    stack = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.AST):
            digest.update(b"<" + type(item).__name__.encode())
            stack.extend(getattr(item, field, None) for field in reversed(item._fields))
        elif isinstance(item, list):
            digest.update(b"[%d" % len(item))
            stack.extend(reversed(item))
        else:
            text = repr(item).encode("utf-8", "backslashreplace")
            digest.update(b"=%d:" % len(text) + text)
    return digest.hexdigest()[:32]


def static_facts(code):
    """Facts of sandbox/static_facts.h as a dict."""
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return {"parses": False, "syntax_error": f"{error.msg} (line {error.lineno})"}
    except (ValueError, MemoryError, RecursionError) as error:
        return {"parses": False, "syntax_error": f"{type(error).__name__} while parsing"}
    signatures, imports, called = set(), set(), set()
    num_nodes = num_calls = depth = 0
    catch_all = False
    stack = [(tree, 1)]
    while stack:
        node, level = stack.pop()
        if isinstance(node, _DOCUMENTED):
            _drop_docstring(node)
        num_nodes += 1
        depth = max(depth, level)
        signatures.add(_signature(node))
        imports.update(_imported(node))
        if isinstance(node, ast.Call):
            num_calls += 1
            called.add(_called_name(node))
        elif isinstance(node, ast.ExceptHandler):
            catch_all = catch_all or _catches_all(node)
        stack.extend(
            (child, level + 1)
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, _CONTEXTS)
        )
    has_class, has_call = _workflow_class(tree)
    return {
        "parses": True,
        "num_nodes": num_nodes,
        "num_distinct_nodes": len(signatures),
        "num_calls": num_calls,
        "depth": depth,
        "imports": sorted(imports),
        "has_catch_all": catch_all,
        "has_workflow_class": has_class,
        "has_async_call": has_call,
        "names_called": sorted(called - {""}),
        "ast_hash": _stable_hash(tree),
    }


def _split_assert(code, entry_point):
    body = ast.parse(code).body
    if len(body) != 1 or not isinstance(body[0], ast.Assert):
        raise ValueError("expected one assert statement")
    test = body[0].test
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        raise ValueError("expected one ==")
    call, expected = test.left, test.comparators[0]
    if not isinstance(call, ast.Call):
        call, expected = expected, call
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise ValueError("expected a call of the entry point")
    if call.func.id != entry_point:
        raise ValueError(f"expected a call of {entry_point}, got one of {call.func.id}")
    args = tuple(ast.literal_eval(each) for each in call.args)
    kwargs = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ValueError("** is no literal")
        kwargs[keyword.arg] = ast.literal_eval(keyword.value)
    return args, kwargs, ast.literal_eval(expected)


def parse_asserts(codes, entry_point):
    """For each text (True, args, kwargs, expected), or (False, why it is not of the form)."""
    parsed = []
    for code in codes:
        try:
            parsed.append((True, *_split_assert(code, entry_point)))
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
            parsed.append((False, str(error)[:200]))
    return parsed
