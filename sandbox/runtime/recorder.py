"""Turns a reference solution and its asserts into (arguments, expected, comparer), in the jail.

An assert of the form `f(args) == E` becomes a call of f with plain arguments. Where the arguments
are no plain data, or f's value is looked at through something else, as in `set(f(x)) == E`, it
becomes an expression to evaluate beside the candidate; E never goes there. Calls outside such
asserts are recorded with the reference's value.
"""

import ast
import builtins
import collections
import copy

_SCALARS = (type(None), bool, int, float, complex, str, bytes)
_SEQUENCES = (list, tuple, set, frozenset)
_DICTS = (dict, collections.Counter, collections.OrderedDict, collections.defaultdict)
_FLOAT_RULE = {"abs": 1e-6, "rel": 1e-7}  # EvalPlus'
_MAX_DEPTH = 90


def _is_plain(value, depth=0):
    kind = type(value)
    if kind in _SCALARS:
        return True
    if depth > _MAX_DEPTH:
        return False
    if kind in _SEQUENCES:
        return all(_is_plain(each, depth + 1) for each in value)
    if kind in _DICTS:
        return all(_is_plain(k, depth + 1) and _is_plain(v, depth + 1) for k, v in value.items())
    return False


def _has_float(value):
    if type(value) in _DICTS:
        return any(_has_float(each) for pair in value.items() for each in pair)
    if type(value) in _SEQUENCES:
        return any(_has_float(each) for each in value)
    return type(value) is float


def _calls(node, names):
    """Calls of the candidate at any depth."""
    return [each for each in ast.walk(node) if _is_call(each, names)]


def _is_call(node, names):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def _constant(value):
    return ast.Constant(value)


def _difference(node):
    """(x, y) of abs(x - y) or math.fabs(x - y)."""
    name = node.func if isinstance(node, ast.Call) else None
    name = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
    if name in ("abs", "fabs") and len(node.args) == 1 and isinstance(node.args[0], ast.BinOp):
        if isinstance(node.args[0].op, ast.Sub):
            return node.args[0].left, node.args[0].right
    return None


def _split_isclose(test, names):
    function = test.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name != "isclose" or len(test.args) != 2 or not _is_call(test.args[0], names):
        return None
    tolerance = {"rel_tol": _constant(1e-9), "abs_tol": _constant(0.0)}
    tolerance.update({each.arg: each.value for each in test.keywords})
    return test.args[0], test.args[1], tolerance["abs_tol"], tolerance["rel_tol"]


def _split(test, names):
    """(what to evaluate, expected, abs, rel) of an assert's condition, as nodes; or None."""
    nothing = _constant(None)
    if _is_call(test, names):
        return _truth(test), _constant(True), nothing, nothing
    is_not = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    if is_not and _is_call(test.operand, names):
        return _truth(test.operand), _constant(False), nothing, nothing
    if isinstance(test, ast.Call):
        return _split_isclose(test, names)
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1):
        return None
    left, right, operator = test.left, test.comparators[0], test.ops[0]
    if isinstance(operator, (ast.Lt, ast.LtE)):
        pair = _difference(left)
        if pair and _is_call(pair[0], names) and not _calls(pair[1], names):
            return pair[0], pair[1], right, _constant(0.0)
        return None
    if not isinstance(operator, (ast.Eq, ast.Is)):
        return None
    if _calls(right, names):
        left, right = right, left
    if not _calls(left, names) or _calls(right, names):
        return None
    return left, right, nothing, nothing


def _truth(call):
    return ast.Call(ast.Name("bool", ast.Load()), [call], [])


class _Rewriter(ast.NodeTransformer):
    """Replaces asserts by calls of the recorder."""

    def __init__(self, recorder):
        self.recorder = recorder

    def visit_Assert(self, node):
        names = self.recorder.names
        parts = _split(node.test, names)
        source = ast.unparse(node.test)
        if parts is None:
            is_compared = isinstance(node.test, ast.Compare)
            bound = node.test.comparators[0] if is_compared else _constant(None)
            close = ast.Call(ast.Name("__close__", ast.Load()), [bound], [])
            return [node, ast.Expr(close)] if self.recorder.proxied else node
        evaluated, expected, absolute, relative = parts
        call = evaluated if _is_call(evaluated, names) else None
        args = ast.Tuple(call.args if call else [], ast.Load())
        keywords = call.keywords if call else []
        names = [each.arg and _constant(each.arg) for each in keywords]
        kwargs = ast.Dict(names, [each.value for each in keywords])
        given = [_constant(self.recorder.guest_text(evaluated)), _constant(call is not None)]
        given += [args, kwargs, ast.Lambda(_NO_ARGUMENTS, evaluated)]
        given += [expected, absolute, relative, _constant(source)]
        return ast.Expr(ast.Call(ast.Name("__record__", ast.Load()), given, []))


_NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


class _Recorder:
    def __init__(self, reference, before, names, entry_point, proxied):
        self.names, self.entry_point, self.proxied = names, entry_point, proxied
        self.records, self.pending, self.problems = [], [], []
        self.before = before
        self.space = {"__name__": "candidate"}
        exec(compile(reference, "<reference>", "exec"), self.space)
        exec(compile(before, "<setup>", "exec"), self.space)
        self.function = self.space[entry_point]
        self.shared_names = set(self.space) | set(dir(builtins))

    def guest_text(self, node):
        """The expression for the guest, or "" where it needs names that only the test has."""
        node = copy.deepcopy(node)
        for each in ast.walk(node):
            if _is_call(each, self.names):
                each.func.id = self.entry_point
        used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        return ast.unparse(node) if used <= self.shared_names else ""

    def record(self, text, is_call, args, kwargs, evaluate, expected, absolute, relative, source):
        self.pending.clear()
        record = {}
        if is_call and _is_plain(args) and _is_plain(kwargs):
            record = {"args": copy.deepcopy(args)}
            if kwargs:
                record["kwargs"] = copy.deepcopy(kwargs)
            value = self.function(*args, **kwargs)
        else:
            if text:
                record = {"call": text}
                if self.before.strip():
                    record["before"] = self.before
            value = evaluate()
        if not record:
            return self.problems.append("cannot be given to a candidate: " + source)
        if absolute is not None or relative is not None:
            absolute, relative = float(absolute or 0), float(relative or 0)
            good = abs(value - expected) <= max(absolute, relative * abs(expected))
            record["compare"] = {"abs": absolute, "rel": relative}
        else:
            good = value == expected
        if not good:
            return self.problems.append("the reference fails: " + source)
        record["expected"] = expected if _is_plain(expected) else value
        self.add(record, source)

    def add(self, record, source):
        if _is_plain(record["expected"]):
            self.records.append(record)
        else:
            self.problems.append("the value is no plain data: " + source)

    def call(self, *args, **kwargs):
        """The candidate outside of asserts that are understood."""
        given = copy.deepcopy((args, kwargs))
        value = self.function(*args, **kwargs)
        record = {"args": given[0], "expected": value}
        if given[1]:
            record["kwargs"] = given[1]
        if _has_float(value):
            record["compare"] = dict(_FLOAT_RULE)
        if not _is_plain(given):
            self.problems.append("arguments are no plain data")
        else:
            self.pending.append(record)
            self.add(record, "a call")
        return copy.deepcopy(value)

    def close(self, bound):
        """A condition that looks at values in its own way; its bound says how exactly."""
        for record in self.pending:
            if type(bound) is float and _has_float(record["expected"]):
                record["compare"] = {"abs": 10 * bound, "rel": 0.0}
        self.pending.clear()

    def run(self, source):
        tree = ast.fix_missing_locations(_Rewriter(self).visit(ast.parse(source)))
        exec(compile(tree, "<test>", "exec"), self.space)


def record_check(reference, entry_point, test):
    """HumanEval's form: `def check(candidate)`."""
    recorder = _Recorder(reference, "", {"candidate"}, entry_point, True)
    recorder.space.update(__record__=recorder.record, __close__=recorder.close)
    recorder.run(test)
    recorder.space["check"](recorder.call)
    return recorder.records, recorder.problems, entry_point


def record_asserts(reference, before, tests):
    """MBPP's form: a list of asserts that name the function. Also finds that name."""
    defined = {each.name for each in ast.parse(reference).body if isinstance(each, ast.FunctionDef)}
    called = [call.func.id for each in tests for call in _calls(ast.parse(each), defined)]
    if not called:
        return [], ["no assert calls a function of the reference"], ""
    entry_point = called[0]
    recorder = _Recorder(reference, before, {entry_point}, entry_point, False)
    recorder.space.update(__record__=recorder.record)
    for each in tests:
        before_count = len(recorder.records) + len(recorder.problems)
        recorder.run(each)
        if len(recorder.records) + len(recorder.problems) == before_count:
            recorder.problems.append("not understood: " + each)
    return recorder.records, recorder.problems, entry_point


def record_inputs(reference, entry_point, inputs, absolute):
    """EvalPlus' form: lists of arguments; the reference says what is expected."""
    recorder = _Recorder(reference, "", set(), entry_point, True)
    for args in inputs:
        recorder.call(*args)
    for record in recorder.records:
        if "compare" in record and absolute > 0:
            record["compare"]["abs"] = absolute
    return recorder.records, recorder.problems, entry_point


def record(form, *args):
    return {"check": record_check, "asserts": record_asserts, "inputs": record_inputs}[form](*args)
