"""Trusted helpers of the sandbox, run in the jail on text they never execute."""

import ast
from _sha256 import sha256

from _weft_rules import refusals, workflow_class

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


def _imported(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["." * node.level + (node.module or "")]
    return []


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
    """Facts of sandbox/facts/static_facts.h as a dict."""
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        return {"parses": False, "syntax_error": f"{error.msg} (line {error.lineno})"}
    except (ValueError, MemoryError, RecursionError) as error:
        return {"parses": False, "syntax_error": f"{type(error).__name__} while parsing"}
    refused, reached = refusals(tree)
    signatures, imports, called, strings = set(), dict(reached), set(), set()
    num_nodes = num_calls = depth = 0
    stack = [(tree, 1)]
    while stack:
        node, level = stack.pop()
        if isinstance(node, _DOCUMENTED):
            _drop_docstring(node)
        num_nodes += 1
        depth = max(depth, level)
        signatures.add(_signature(node))
        for module in _imported(node):
            imports[module] = min(node.lineno, imports.get(module, node.lineno))
        if isinstance(node, ast.Call):
            num_calls += 1
            called.add(_called_name(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
        stack.extend(
            (child, level + 1)
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, _CONTEXTS)
        )
    return {
        "parses": True,
        "num_nodes": num_nodes,
        "num_distinct_nodes": len(signatures),
        "num_calls": num_calls,
        "depth": depth,
        "imports": sorted(imports),
        "import_lines": [line for _, line in sorted(imports.items())],
        "refusals": refused,
        "names_called": sorted(called - {""}),
        "strings": sorted(text.encode("utf-8", "replace").decode() for text in strings),
        "ast_hash": _stable_hash(tree),
        **workflow_class(tree),
    }


def _blocks(node):
    """The fields of a compound statement that hold statements, or the handlers of a try."""
    lists = [(field, getattr(node, field, None)) for field in node._fields]
    return {
        field: items
        for field, items in lists
        if isinstance(items, list)
        and items
        and all(isinstance(item, (ast.stmt, ast.ExceptHandler)) for item in items)
    }


def _head(node):
    """Hash of a compound statement without its blocks."""
    blocks = ("body", "orelse", "finalbody", "handlers")
    fields = [getattr(node, field, None) for field in node._fields if field not in blocks]
    return _stable_hash([type(node).__name__, fields])


def _common(before, after):
    """Index pairs of a longest common subsequence of two lists."""
    rows, columns = len(before), len(after)
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            equal = before[i] == after[j]
            best[i][j] = best[i + 1][j + 1] + 1 if equal else max(best[i + 1][j], best[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < rows and j < columns:
        if before[i] == after[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1][j] >= best[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _alike(before, after):
    return type(before) is type(after) and bool(_blocks(before)) and bool(_blocks(after))


def _compare_pairs(before, after):
    """Of as many statements in the place of others: those that are alike are compared in themselves,
    each run of the rest is one place."""
    places = statements = 0
    in_run = False
    for old, new in zip(before, after):
        alike = _alike(old, new)
        if alike:
            more_places, more_statements = _compare_compound(old, new)
            places, statements = places + more_places, statements + more_statements
        else:
            places, statements = places + (not in_run), statements + 1
        in_run = not alike
    return places, statements


def _compare_blocks(before, after):
    """(places, statements) in which two lists of statements differ, nested ones included."""
    pairs = _common([_stable_hash(each) for each in before], [_stable_hash(each) for each in after])
    places = statements = start = other_start = 0
    for end, other_end in (*pairs, (len(before), len(after))):
        gone, come = before[start:end], after[other_start:other_end]
        start, other_start = end + 1, other_end + 1
        if len(gone) == len(come):
            more_places, more_statements = _compare_pairs(gone, come)
            places, statements = places + more_places, statements + more_statements
        else:
            places, statements = places + 1, statements + max(len(gone), len(come))
    return places, statements


def _compare_compound(before, after):
    places = statements = int(_head(before) != _head(after))
    old, new = _blocks(before), _blocks(after)
    for field in {**old, **new}:
        more_places, more_statements = _compare_blocks(old.get(field, []), new.get(field, []))
        places, statements = places + more_places, statements + more_statements
    return places, statements


def _program(code):
    """Its statements without docstrings and imports."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            _drop_docstring(node)
    return [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]


def compare_programs(before, after):
    """EditExtent of facts/static_facts.h as (places, statements); None where one does not parse."""
    try:
        return _compare_blocks(_program(before), _program(after))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


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
    if not isinstance(call, ast.Call):
        raise ValueError("expected a call of the entry point")
    called = ast.unparse(call.func)
    if called != entry_point:
        raise ValueError(f"expected a call of {entry_point}, got one of {called[:100]}")
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


def math_values_equal(prediction, gold):
    """Of a zygote that has SymPy; see runtime/math_symbols.py."""
    from _weft_math import values_equal

    return values_equal(prediction, gold)


def math_equal_by_aflow(prediction, gold):
    from _weft_math import aflow_equal

    return aflow_equal(prediction, gold)
