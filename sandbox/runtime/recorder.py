"""Turns a reference solution and its asserts into (arguments, expected, comparer), in the jail.

An assert of the form `f(args) == E` becomes a call of f with plain arguments. Where the arguments
are no plain data, or f's value is looked at through something else, as in `set(f(x)) == E`, it
becomes an expression to evaluate beside the candidate; E never goes there. Calls outside such
asserts are recorded with the reference's value. A test's own function that compares, as EvalPlus'
`assertion(out, exp, atol)`, is taken apart in the same way (runtime/comparisons.py).

Of each record is also given what the function was called with and the shape of the expression
around the call, so that further inputs can be recorded alike (runtime/mutator.py).
"""

import ast
import builtins
import collections
import copy

from comparisons import (CALL, NO_ARGUMENTS, Comparison, Instrumented, NotUnderstood, calls_of,
                         constant, equal, is_call, literal, names_in, outer_calls_of, provide_numpy,
                         replaced, rule_of, split, within, written)

_SCALARS = (type(None), bool, int, float, complex, str, bytes)
_SEQUENCES = (list, tuple, set, frozenset)
_DICTS = (dict, collections.Counter, collections.OrderedDict, collections.defaultdict)
_FLOAT_RULE = {"abs": 1e-6, "rel": 1e-7}  # EvalPlus'
_MAX_DEPTH = 90


def is_plain(value, depth=0):
    kind = type(value)
    if kind in _SCALARS:
        return True
    if depth > _MAX_DEPTH:
        return False
    if kind in _SEQUENCES:
        return all(is_plain(each, depth + 1) for each in value)
    if kind in _DICTS:
        return all(is_plain(k, depth + 1) and is_plain(v, depth + 1) for k, v in value.items())
    return False


def has_float(value):
    if type(value) in _DICTS:
        return any(has_float(each) for pair in value.items() for each in pair)
    if type(value) in _SEQUENCES:
        return any(has_float(each) for each in value)
    return type(value) is float


def _load(name):
    return ast.Name(name, ast.Load())


def _dict_of(keywords):
    keys = [each.arg and constant(each.arg) for each in keywords]
    return ast.Dict(keys, [each.value for each in keywords])


def _later(node):
    return ast.Lambda(NO_ARGUMENTS, node)


def _bound_in(node):
    return {each.id for each in ast.walk(node)
            if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)}


class _Site:
    """One place of a test's text that looks at what a call returns."""

    def __init__(self, recorder, evaluated, source):
        self.evaluated, self.source = evaluated, source
        self.is_call = is_call(evaluated, recorder.names)
        calls = outer_calls_of(evaluated, recorder.names)
        alone = len(calls) == 1 and len(calls_of(evaluated, recorder.names)) == 1
        self.call = calls[0] if alone else None  # whose arguments can be seen
        self.shape = ast.unparse(_with_call(evaluated, self.call)) if alone else ""
        self.used = names_in(evaluated) - recorder.names - _bound_in(evaluated)


def _with_call(evaluated, call):
    """The expression with CALL in the place of the call."""
    if evaluated is call:
        return _load(CALL)
    place = ast.dump(call)

    class Shape(ast.NodeTransformer):
        def visit_Call(self, node):
            return _load(CALL) if ast.dump(node) == place else self.generic_visit(node)

    return Shape().visit(copy.deepcopy(evaluated))


class _Rewriter(ast.NodeTransformer):
    """Replaces comparisons by calls of the recorder."""

    def __init__(self, recorder, tree):
        self.recorder = recorder
        functions = [each for each in tree.body if isinstance(each, ast.FunctionDef)]
        self.functions = {each.name: copy.deepcopy(each) for each in functions}
        called = _called_in_loops(tree, recorder.names, self.functions)
        self.comparisons = {name: _comparison_of(self.functions[name]) for name in called}

    def visit_FunctionDef(self, node):
        comparison = self.comparisons.get(node.name)
        if isinstance(comparison, Comparison):
            return Instrumented(comparison).visit(node)
        return self.generic_visit(node)

    def visit_For(self, node):
        node.body = _inlined(node.body, self.recorder.names)
        return self.generic_visit(node)

    def visit_Expr(self, node):
        return self._of_comparison(node.value, node) or node

    def visit_Assert(self, node):
        of_comparison = self._of_comparison(node.test, node)
        if of_comparison:
            return of_comparison
        parts = split(node.test, self.recorder.names)
        if parts is None:
            is_compared = isinstance(node.test, ast.Compare)
            bound = node.test.comparators[0] if is_compared else constant(None)
            close = ast.Call(_load("__close__"), [bound], [])
            return [node, ast.Expr(close)] if self.recorder.proxied else node
        evaluated, expected, absolute, relative = parts
        return self._record(node.test, (evaluated, expected), (absolute, relative))

    def _of_comparison(self, call, statement):
        """A call of a function of the test's own that is given what the candidate returned."""
        if not is_call(call, self.functions) or not calls_of(call, self.recorder.names):
            return None
        try:
            comparison = self.comparisons[call.func.id]
            if isinstance(comparison, NotUnderstood):
                raise comparison
            pairs = comparison.split(call)
            raw, expected = pairs[0]
            if not calls_of(raw, self.recorder.names) or calls_of(expected, self.recorder.names):
                raise NotUnderstood(ast.unparse(call)[:200])
        except NotUnderstood as error:
            self.recorder.problems.append("the comparison is not understood: " + str(error))
            return statement
        given = ast.arguments(posonlyargs=[], args=[ast.arg("got_"), ast.arg("expected_")],
                              kwonlyargs=[], kw_defaults=[], defaults=[])
        args = [_load("got_"), _load("expected_"), *call.args[2:]]
        compare = ast.Lambda(given, ast.Call(_load(call.func.id), args, call.keywords))
        records = [self._arguments(call, *pair) for pair in pairs]
        later = ast.List([_later(ast.Tuple(each, ast.Load())) for each in records], ast.Load())
        return ast.Expr(ast.Call(_load("__compared__"), [compare, expected, later], []))

    def _record(self, source, sides, tolerance):
        given = [*self._arguments(source, *sides), *tolerance]
        return ast.Expr(ast.Call(_load("__record__"), given, []))

    def _arguments(self, source, evaluated, expected):
        """The first of record()."""
        site = _Site(self.recorder, evaluated, ast.unparse(source)[:300])
        self.recorder.sites.append(site)
        args = ast.Tuple(site.call.args if site.call else [], ast.Load())
        kwargs = _dict_of(site.call.keywords if site.call else [])
        own = sorted(site.used - self.recorder.shared_names - set(self.recorder.imports))
        own = ast.Dict([constant(each) for each in own], [_load(each) for each in own])
        return [constant(len(self.recorder.sites) - 1), args, kwargs, own, _later(evaluated),
                expected]


def _comparison_of(function):
    try:
        return Comparison(function)
    except NotUnderstood as error:
        return error


def _called_in_loops(tree, names, functions):
    """The test's own functions that stand around a call of the candidate."""
    inlined = [_inlined(each.body, names) for each in ast.walk(tree) if isinstance(each, ast.For)]
    nodes = [node for body in inlined for each in body for node in ast.walk(each)]
    nodes += ast.walk(tree)
    return {node.func.id for node in nodes if is_call(node, functions) and calls_of(node, names)}


def _inlined(body, names):
    """`out = f(x)` is written where `out` is used after it."""
    result, values = [], {}
    for statement in body:
        statement = replaced(statement, values) if values else statement
        if isinstance(statement, ast.Assign) and is_call(statement.value, names):
            if len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
                values[statement.targets[0].id] = statement.value
                continue
        result.append(statement)
    return result


class _Recorder:
    def __init__(self, reference, before, names, entry_point, proxied):
        self.names, self.entry_point, self.proxied = names, entry_point, proxied
        self.records, self.pending, self.problems, self.sites = [], [], [], []
        self.before, self.imports = before, {}
        self.space = {"__name__": "candidate"}
        exec(compile(reference, "<reference>", "exec"), self.space)
        exec(compile(before, "<setup>", "exec"), self.space)
        self.function = self.space[entry_point]
        self.shared_names = set(self.space) | set(dir(builtins))
        self.space.update(__record__=self.record, __close__=self.close, __within__=within,
                          __equal__=equal, __compared__=self.compared)

    def _for_the_guest(self, site, own):
        """{"call", "before"?} of an expression; {} where it needs what only the test has."""
        if not all(is_plain(each) for each in own.values()):
            return {}
        node = replaced(site.evaluated, {name: literal(value) for name, value in own.items()})
        for each in calls_of(node, self.names):
            each.func.id = self.entry_point
        record = {"call": ast.unparse(node)}
        before = self.before + "".join(self.imports[each] + "\n" for each in sorted(site.used)
                                       if each in self.imports)
        if before.strip():
            record["before"] = before
        return record

    def compared(self, compare, expected, records):
        """A call of a comparing function; `records` give the arguments of record() by its pairs."""
        try:
            number, rule = rule_of(compare, expected)
        except NotUnderstood as error:
            given = records[0]()
            return self.problems.append(f"not understood: {self.sites[given[0]].source}: {error}")
        return self.record(*records[number](), *(rule or (None, None)))

    def record(self, number, args, kwargs, own, evaluate, expected, absolute, relative):
        self.pending.clear()
        site = self.sites[number]
        seen = site.call is not None and is_plain(args) and is_plain(kwargs)
        inputs = (*copy.deepcopy((args, kwargs)), site.shape) if seen else None
        if site.is_call and seen:
            record = {"args": inputs[0]}
            if kwargs:
                record["kwargs"] = inputs[1]
            value = self.function(*args, **kwargs)
        else:
            record = self._for_the_guest(site, own)
            value = evaluate()
        if not record:
            return self.problems.append("cannot be given to a candidate: " + site.source)
        if absolute is not None or relative is not None:
            absolute, relative = float(absolute or 0), float(relative or 0)
            good = _is_near(value, expected, absolute, relative)
            record["compare"] = {"abs": absolute, "rel": relative}
        else:
            good = value == expected
        if not good:
            return self.problems.append("the reference fails: " + site.source)
        record["expected"] = expected if is_plain(expected) else value
        self.add(record, inputs, site.source)

    def add(self, record, inputs, source):
        if is_plain(record["expected"]):
            self.records.append((record, inputs))
        else:
            self.problems.append("the value is no plain data: " + source)

    def call(self, *args, **kwargs):
        """The candidate outside of asserts that are understood."""
        given = copy.deepcopy((args, kwargs))
        value = self.function(*args, **kwargs)
        record = {"args": given[0], "expected": value}
        if given[1]:
            record["kwargs"] = given[1]
        if has_float(value):
            record["compare"] = dict(_FLOAT_RULE)
        if not is_plain(given):
            self.problems.append("arguments are no plain data")
        else:
            self.pending.append(record)
            self.add(record, (*given, CALL), "a call")
        return copy.deepcopy(value)

    def close(self, bound):
        """A condition that looks at values in its own way; its bound says how exactly."""
        for record in self.pending:
            if type(bound) is float and has_float(record["expected"]):
                record["compare"] = {"abs": 10 * bound, "rel": 0.0}
        self.pending.clear()

    def run(self, source):
        """Runs a test's text; returns the calls in it that are no part of what was recorded."""
        tree = ast.parse(source)
        for each in tree.body:
            if isinstance(each, (ast.Import, ast.ImportFrom)):
                for alias in each.names:
                    self.imports[(alias.asname or alias.name).split(".")[0]] = ast.unparse(each)
        if "numpy" in source:
            provide_numpy()
        tree = ast.fix_missing_locations(_Rewriter(self, tree).visit(tree))
        try:
            exec(compile(tree, "<test>", "exec"), self.space)
        except Exception:
            if not self.problems:  # else what came before it says more
                raise
        return _loose_calls(tree, self.names)

    def result(self):
        return self.records, self.problems, self.entry_point


def _loose_calls(node, names):
    if is_call(node, {"__record__", "__compared__"}):
        return []
    if is_call(node, names):
        return [ast.unparse(node)[:200]]
    return [call for each in ast.iter_child_nodes(node) for call in _loose_calls(each, names)]


def _is_near(value, expected, absolute, relative):
    if isinstance(expected, (list, tuple)):
        return len(value) == len(expected) and all(
            _is_near(x, y, absolute, relative) for x, y in zip(value, expected))
    return value == expected or abs(value - expected) <= max(absolute, relative * abs(expected))


def _without_checks(test):
    """A test's text without its own calls of check."""
    tree = ast.parse(test)
    tree.body = [each for each in tree.body
                 if not (isinstance(each, ast.Expr) and is_call(each.value, {"check"}))]
    return ast.unparse(tree)


def record_check(reference, entry_point, test):
    """HumanEval's form: `def check(candidate)`."""
    recorder = _Recorder(reference, "", {"candidate"}, entry_point, True)
    recorder.run(_without_checks(test))
    recorder.space["check"](recorder.call)
    return recorder.result()


def _entry_point_of(reference, tests):
    defined = {each.name for each in ast.parse(reference).body if isinstance(each, ast.FunctionDef)}
    called = [call.func.id for each in tests for call in calls_of(ast.parse(each), defined)]
    return called[0] if called else ""


_NOTHING_CALLED = "no test calls a function of the reference"


def record_asserts(reference, before, tests, entry_point):
    """MBPP's form: a list of asserts that name the function. Also finds that name."""
    entry_point = entry_point or _entry_point_of(reference, tests)
    if not entry_point:
        return [], [_NOTHING_CALLED], ""
    recorder = _Recorder(reference, before, {entry_point}, entry_point, False)
    for each in tests:
        before_count = len(recorder.records) + len(recorder.problems)
        recorder.run(each)
        if len(recorder.records) + len(recorder.problems) == before_count:
            recorder.problems.append("not understood: " + each)
    return recorder.result()


def record_program(reference, before, test, entry_point):
    """EvalPlus' published form of MBPP+: a program that loops over inputs and compares."""
    entry_point = entry_point or _entry_point_of(reference, [test])
    if not entry_point:
        return [], [_NOTHING_CALLED], ""
    tree = ast.parse(test)
    check = [each for each in tree.body if getattr(each, "name", "") == "check"]
    names = {entry_point, *[each.arg for each in check[0].args.args]} if check else {entry_point}
    recorder = _Recorder(reference, before, names, entry_point, False)
    loose = recorder.run(test)
    if check and not calls_of(tree, {"check"}):
        recorder.space["check"](*[recorder.function] * (len(names) - 1))
    if not recorder.problems and (loose or not recorder.records):
        recorder.problems.append(": ".join(["the test is not understood", *loose]))
    return recorder.result()


def record_inputs(reference, entry_point, inputs, absolute, shape, asserts):
    """EvalPlus' form: lists of arguments; the reference says what is expected. Of a value only what
    the shape makes of it counts. What is a tuple or a set in the asserts, which a list in JSON may
    stand for, is one in the inputs."""
    kinds = []
    if asserts:
        records, _, _ = record_program(reference, "", asserts, entry_point)
        kinds = [_kind_of(values) for values in zip(*[seen[0] for _, seen in records if seen])]
    recorder = _Recorder(reference, "", set(), entry_point, True)
    for args in inputs:
        args = [_of_kind(kinds[i], each) if i < len(kinds) else each for i, each in enumerate(args)]
        recorder.call(*args)
    for record, _ in recorder.records:
        if "compare" in record and absolute > 0:
            record["compare"]["abs"] = absolute
    if shape != CALL:
        recorder.records = [_shaped(recorder, shape, inputs) for _, inputs in recorder.records]
    return recorder.result()


def _kind_of(values):
    """(container, kind of its items) where all values are of one; else None."""
    types = {type(each) for each in values}
    if len(types) != 1 or types & {*_DICTS, *_SCALARS}:
        return None
    return types.pop(), _kind_of([item for each in values for item in each])


def _of_kind(kind, value):
    if kind is None or not isinstance(value, list):
        return value
    return kind[0](_of_kind(kind[1], each) for each in value)


def _shaped(recorder, shape, inputs):
    args, kwargs, _ = inputs
    value = recorder.function(*copy.deepcopy(args), **kwargs)
    record = {"call": written(shape, recorder.entry_point, args, kwargs),
              "expected": eval(shape, {**recorder.space, CALL: value})}
    return record, (args, kwargs, shape)


def record(form, *args):
    return {"check": record_check, "asserts": record_asserts, "program": record_program,
            "inputs": record_inputs}[form](*args)
