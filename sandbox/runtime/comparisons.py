"""What a test compares, read from its syntax: the expression around a call of the candidate, what
is expected of it and how exactly. Part of the recorder; runs in the jail on trusted text.
"""

import ast
import copy
import math
import sys
import types

CALL = "__call__"  # stands for the call of the candidate in a shape
_CLOSE = ("isclose", "allclose", "assert_allclose")
_INNER = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
NO_ARGUMENTS = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


class NotUnderstood(Exception):
    """A comparison that cannot be brought to arguments, a value and a rule."""


def is_call(node, names):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names


def calls_of(node, names):
    """Calls of the candidate at any depth."""
    return [each for each in ast.walk(node) if is_call(each, names)]


def outer_calls_of(node, names):
    """Those whose arguments can be evaluated where the expression stands."""
    if isinstance(node, _INNER):
        return []
    inner = [each for child in ast.iter_child_nodes(node) for each in outer_calls_of(child, names)]
    return [node, *inner] if is_call(node, names) else inner


def names_in(node):
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def constant(value):
    return ast.Constant(value)


def truth(node):
    return ast.Call(ast.Name("bool", ast.Load()), [node], [])


def called_name(node):
    function = node.func if isinstance(node, ast.Call) else None
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _difference(node):
    """(x, y) of abs(x - y) or math.fabs(x - y)."""
    if called_name(node) in ("abs", "fabs") and len(node.args) == 1:
        if isinstance(node.args[0], ast.BinOp) and isinstance(node.args[0].op, ast.Sub):
            return node.args[0].left, node.args[0].right
    return None


def _split_isclose(test, names):
    if called_name(test) != "isclose" or len(test.args) != 2 or not is_call(test.args[0], names):
        return None
    tolerance = {"rel_tol": constant(1e-9), "abs_tol": constant(0.0)}
    tolerance.update({each.arg: each.value for each in test.keywords})
    return test.args[0], test.args[1], tolerance["abs_tol"], tolerance["rel_tol"]


def split(test, names):
    """(what to evaluate, expected, abs, rel) of an assert's condition, as nodes; or None."""
    nothing = constant(None)
    if is_call(test, names):
        return truth(test), constant(True), nothing, nothing
    is_not = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    if is_not and is_call(test.operand, names):
        return truth(test.operand), constant(False), nothing, nothing
    if isinstance(test, ast.Call):
        return _split_isclose(test, names)
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1):
        return None
    left, right, operator = test.left, test.comparators[0], test.ops[0]
    if isinstance(operator, (ast.Lt, ast.LtE)):
        pair = _difference(left)
        if pair and is_call(pair[0], names) and not calls_of(pair[1], names):
            return pair[0], pair[1], right, constant(0.0)
        return None
    if not isinstance(operator, (ast.Eq, ast.Is)):
        return None
    if calls_of(right, names):
        left, right = right, left
    if not calls_of(left, names) or calls_of(right, names):
        return None
    return left, right, nothing, nothing


class Replace(ast.NodeTransformer):
    """Puts expressions in the place of names; a starred list that results is spread out."""

    def __init__(self, nodes):
        self.nodes = nodes

    def visit_Name(self, node):
        return copy.deepcopy(self.nodes[node.id]) if node.id in self.nodes else node

    def visit_Call(self, node):
        self.generic_visit(node)
        args = []
        for each in node.args:
            spread = isinstance(each, ast.Starred) and isinstance(each.value, (ast.List, ast.Tuple))
            args.extend(each.value.elts if spread else [each])
        node.args = args
        return node


def replaced(node, nodes):
    return Replace(nodes).visit(copy.deepcopy(node))


def literal(value):
    """The expression of plain data."""
    if type(value) is float and (value != value or value in (float("inf"), -float("inf"))):
        return ast.Call(ast.Name("float", ast.Load()), [constant(repr(value))], [])
    if isinstance(value, dict):
        keys, values = list(value), list(value.values())
        return ast.Dict([literal(each) for each in keys], [literal(each) for each in values])
    if isinstance(value, (list, tuple)):
        kind = ast.List if isinstance(value, list) else ast.Tuple
        return kind([literal(each) for each in value], ast.Load())
    if isinstance(value, (set, frozenset)):
        name = ast.Name(type(value).__name__, ast.Load())
        return ast.Call(name, [literal(list(value))] if value else [], [])
    return constant(value)


def written(shape, entry_point, args, kwargs):
    """The text of a shape with a call on plain data in it."""
    keywords = [ast.keyword(name, literal(value)) for name, value in kwargs.items()]
    call = ast.Call(ast.Name(entry_point, ast.Load()), [literal(each) for each in args], keywords)
    return ast.unparse(replaced(ast.parse(shape, mode="eval").body, {CALL: call}))


class Comparison:
    """A test's own function that fails where its first argument does not fit its second. Its
    equalities are `pairs` of what it makes of the one and of the other; which of them holds, or
    which tolerance, may depend on the expected value (rule_of)."""

    def __init__(self, function):
        self.name = function.name
        parameters = [each.arg for each in function.args.args]
        if len(parameters) < 2:
            raise NotUnderstood(f"{self.name} takes no pair of values")
        self.got, self.expected = parameters[:2]
        self.pairs = [(ast.Name(self.got, ast.Load()), ast.Name(self.expected, ast.Load()))]
        for statement in function.body:
            self._read(statement)

    def _refuse(self, node, why=""):
        raise NotUnderstood(f"{self.name}{why}: {ast.unparse(node)}")

    def _read(self, node):
        """Refuses every use of the value that is not one of the forms it knows."""
        if self.got not in names_in(node) or isinstance(node, (ast.Raise, ast.JoinedStr)):
            return None
        if isinstance(node, ast.Assert):
            return self._read(node.test)  # what follows the comma is a message
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._read_compare(node)
        if called_name(node) in _CLOSE:
            pair = [each.id for each in node.args[:2] if isinstance(each, ast.Name)]
            return None if sorted(pair) == sorted((self.got, self.expected)) else self._refuse(node)
        if isinstance(node, ast.BoolOp):
            if sum(self.got in names_in(each) for each in node.values) > 1:
                self._refuse(node, " takes one of several" if isinstance(node.op, ast.Or) else "")
        elif not isinstance(node, (ast.If, ast.Assign, ast.Expr, ast.UnaryOp, ast.Return)):
            self._refuse(node)
        for child in ast.iter_child_nodes(node):
            self._read(child)
        return None

    def _read_compare(self, node):
        if isinstance(node.ops[0], (ast.Lt, ast.LtE)):
            pair = _difference(node.left)
            if not pair or {self.got, self.expected} != {getattr(p, "id", "") for p in pair}:
                self._refuse(node)
        elif self.number_of(node) is None:
            if not self._sides(node):
                self._refuse(node)
            self.pairs.append(self._sides(node))

    def _sides(self, node):
        """(of what was got, of what is expected) of an equality; or None."""
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1):
            return None
        sides = node.left, node.comparators[0]
        if self.got in names_in(sides[1]):
            sides = sides[::-1]
        got, expected = names_in(sides[0]), names_in(sides[1])
        if not isinstance(node.ops[0], (ast.Eq, ast.NotEq)) or self.expected not in expected:
            return None
        mixed = self.expected in got or self.got in expected
        return sides if self.got in got and not mixed else None

    def number_of(self, node):
        """Which of the pairs an equality compares; None of another node."""
        sides = self._sides(node)
        for number, pair in enumerate(self.pairs if sides else []):
            if [ast.dump(each) for each in pair] == [ast.dump(each) for each in sides]:
                return number
        return None

    def split(self, call):
        """(what to evaluate, expected) by each of the pairs, of a call of this function."""
        if len(call.args) < 2:
            raise NotUnderstood(ast.unparse(call)[:200])
        return [(replaced(got, {self.got: call.args[0]}),
                 replaced(expected, {self.expected: call.args[1]})) for got, expected in self.pairs]


class Instrumented(ast.NodeTransformer):
    """A comparing function that tells a Probe what it does with it."""

    def __init__(self, comparison):
        self.comparison = comparison

    def visit_Compare(self, node):
        number = self.comparison.number_of(node)
        self.generic_visit(node)
        if number is None:
            return node
        given = [ast.Name(self.comparison.got, ast.Load()), constant(number),
                 constant(isinstance(node.ops[0], ast.Eq)), ast.Lambda(NO_ARGUMENTS, node)]
        return ast.Call(ast.Name("__equal__", ast.Load()), given, [])

    def visit_Call(self, node):
        self.generic_visit(node)
        if called_name(node) == "fabs":
            node.func = ast.Name("abs", ast.Load())
        elif called_name(node) in _CLOSE:
            node.args.insert(0, node.func)
            node.func = ast.Name("__within__", ast.Load())
        return node


class Probe:
    """Stands for what a candidate returns: equal to everything or to nothing, and within every
    tolerance. Notes the equalities that it is asked for, by number, and the tolerances."""

    def __init__(self, is_equal):
        self.is_equal, self.equalities, self.rules = is_equal, [], []

    def __sub__(self, other):
        return Gap(self.rules)

    __rsub__ = __sub__


class Gap:
    """The distance of a Probe from the expected value."""

    def __init__(self, rules):
        self.rules = rules

    def __abs__(self):
        return self

    def __lt__(self, bound):
        self.rules.append((float(bound), 0.0))
        return True

    __le__ = __lt__


def equal(got, number, is_equality, compare):
    """An equality of a comparing function."""
    if not isinstance(got, Probe):
        return compare()
    got.equalities.append(number)
    return got.is_equal == is_equality


def within(function, got, expected, *args, **kwargs):
    """A call of math's or numpy's `function`."""
    probe = next((each for each in (got, expected) if isinstance(each, Probe)), None)
    if probe is None:
        return function(got, expected, *args, **kwargs)
    relative, absolute = ("rel_tol", 1e-9), ("abs_tol", 0.0)
    if function is not math.isclose:
        is_strict = function.__name__ == "assert_allclose"
        relative = "rtol", 1e-7 if is_strict else 1e-5
        absolute = "atol", 0.0 if is_strict else 1e-8
    given = dict((relative, absolute))
    given.update(zip(given, args))
    given.update(kwargs)
    absolute, relative = float(given[absolute[0]]), float(given[relative[0]])
    other = expected if got is probe else got
    if function is not math.isclose and _is_finite(other):
        absolute, relative = absolute + relative * abs(other), 0.0  # numpy's is a sum
    probe.rules.append((absolute, relative))
    return True


def _is_finite(value):
    return isinstance(value, (int, float)) and abs(value) < float("inf")


def _has_number(value):
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_has_number, value))
    return isinstance(value, (int, float, complex))


def rule_of(compare, expected):
    """(number of the pair that must be equal, (abs, rel) or None) of comparing with `expected`."""
    unequal, alike = Probe(False), Probe(True)
    for probe in (unequal, alike):
        try:
            compare(probe, expected)
        except AssertionError:
            pass
        except Exception as error:
            raise NotUnderstood(f"{type(error).__name__} instead of a comparison") from error
    asked = set(unequal.equalities + alike.equalities)
    rules = unequal.rules if _has_number(expected) else []  # nothing else is near to something
    if rules and asked <= {0}:
        return 0, rules[0]
    if rules or len(asked) != 1:
        raise NotUnderstood("it compares nothing" if not asked else "it compares in several ways")
    return asked.pop(), None


def _allclose(got, expected, rtol=1e-5, atol=1e-8):
    if isinstance(expected, (list, tuple)):
        return len(got) == len(expected) and all(
            _allclose(x, y, rtol, atol) for x, y in zip(got, expected))
    return got == expected or abs(got - expected) <= atol + rtol * abs(expected)


def assert_allclose(got, expected, rtol=1e-7, atol=0):
    assert _allclose(got, expected, rtol, atol)


def provide_numpy():
    """What tests use of numpy, where it is not installed: its tolerances and names of types."""
    try:
        import numpy  # noqa: F401
    except ImportError:
        module, testing = types.ModuleType("numpy"), types.ModuleType("numpy.testing")
        for each in ("ndarray", "float64", "float32"):
            setattr(module, each, type(each, (), {}))
        module.inf, module.nan = float("inf"), float("nan")
        module.allclose = module.isclose = _allclose
        testing.assert_allclose = assert_allclose
        module.testing = testing
        sys.modules.update({"numpy": module, "numpy.testing": testing})
