"""Whether two answers of mathematics are equal as expressions, by SymPy.

`values_equal` compares trees as data/scorers/math_value.h makes them: a text is a leaf in LaTeX,
(kind, brackets, parts) a list, union, tuple or matrix. `aflow_equal` does as AFlow's released
scorer (arXiv:2410.10762). Both raise nothing for what they cannot read: it is not equal.
"""

import re

import sympy
from sympy import Integer, Rational, Symbol

MAX_BITS = 100_000  # of an integer that a power, factorial or binomial makes
MAX_DEPTH = 60
DIGITS = 40


class Unreadable(Exception):
    """The text is no expression that is understood here."""


_TOKEN = re.compile(
    r"\s*(\\[a-zA-Z]+|\d+(?:\.\d*)?|\.\d+|arc(?:sin|cos|tan)|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc"
    r"|ln|log|exp|sqrt|pi|\*\*|<=|>=|[a-zA-Z]|\S)"
)
_FUNCTIONS = {
    "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot, "sec": sympy.sec,
    "csc": sympy.csc, "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan,
    "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "exp": sympy.exp,
    "ln": sympy.log, "log": sympy.log,
}
_INVERSES = {"sin": sympy.asin, "cos": sympy.acos, "tan": sympy.atan, "cot": sympy.acot}
_RELATIONS = {"=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "\\leq": "<=", "\\geq": ">="}
_ENDS = set("+-)]}|,;&") | set(_RELATIONS) | {"\\cup", ""}


class _Parser:
    def __init__(self, text):
        self.tokens = _TOKEN.findall(text) + [""]
        self.at = 0
        self.depth = 0
        self.bars = 0

    @property
    def token(self):
        return self.tokens[self.at]

    def take(self, expected=None):
        token = self.token
        if expected is not None and token != expected:
            raise Unreadable(f"expected {expected}, got {token}")
        self.at += 1
        return token

    def whole(self):
        """An expression, or a list [left, relation, right]."""
        left = self.sum()
        if self.token in _RELATIONS:
            relation = _RELATIONS[self.take()]
            right = self.sum()
            self.take("")
            return [left, relation, right]
        self.take("")
        return left

    def sum(self):
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("too deep")
        value = self.product()
        while self.token in ("+", "-"):
            if self.take() == "+":
                value = value + self.product()
            else:
                value = value - self.product()
        self.depth -= 1
        return value

    def product(self, within_function=False):
        value = self.signed()
        while self.token not in _ENDS or (self.token == "|" and not self.bars):
            name = self.token.lstrip("\\")
            if within_function and (name in _FUNCTIONS or self.token in ("*", "/", "(")):
                break
            if self.token in ("*",):
                self.take()
                value = value * self.signed()
            elif self.token == "/":
                self.take()
                value = value / self.signed()
            else:
                value = value * self.power()
        return value

    def signed(self):
        if self.token == "-":
            self.take()
            return -self.signed()
        if self.token == "+":
            self.take()
            return self.signed()
        return self.power()

    def power(self):
        base = self.atom()
        while self.token in ("^", "**", "!", "%"):
            sign = self.take()
            if sign == "!":
                base = _factorial(base)
            elif sign == "%":
                base = base / 100
            else:
                base = _power(base, self.argument())
        return base

    def argument(self):
        """What stands behind ^, \\frac and the like: a group, or one token."""
        if self.token == "{":
            return self.group("{", "}")
        if self.token == "-":
            self.take()
            return -self.argument()
        if re.fullmatch(r"\d+", self.token) and len(self.token) > 1:
            digits = self.token
            self.tokens[self.at] = digits[1:]
            return Integer(digits[0])
        return self.atom()

    def group(self, opening, closing):
        self.take(opening)
        bars, self.bars = self.bars, 0
        value = self.sum()
        self.bars = bars
        self.take(closing)
        return value

    def atom(self):
        token = self.token
        if token in ("(", "[", "{"):
            return self.group(token, {"(": ")", "[": "]", "{": "}"}[token])
        if token == "|":
            self.take()
            self.bars += 1
            value = self.sum()
            self.take("|")
            self.bars -= 1
            return sympy.Abs(value)
        self.take()
        if re.match(r"\d|\.\d", token):
            return self.number(token)
        name = token.lstrip("\\")
        if name in _FUNCTIONS:
            return self.function(name)
        if name == "frac":
            over = self.argument()
            return over / self.argument()
        if name == "sqrt":
            degree = self.group("[", "]") if self.token == "[" else Integer(2)
            return _power(self.argument(), 1 / degree)
        if name in ("binom", "dbinom", "tbinom"):
            over = self.argument()
            return _binomial(over, self.argument())
        if name == "pi":
            return sympy.pi
        if name == "infty":
            return sympy.oo
        if token == "e":
            return sympy.E
        if token == "i":
            return sympy.I
        if re.fullmatch(r"\\[a-zA-Z]+", token) and len(name) > 7 or not name.isalpha():
            raise Unreadable(token)
        return self.symbol(name)

    def number(self, token):
        if len(token) > 2000:
            raise Unreadable("a number too long")
        value = Rational(token if not token.endswith(".") else token[:-1])
        if self.token == "_":
            raise Unreadable("a number to a base")
        if self.token == "\\frac" and value.is_Integer:  # a mixed number
            start = self.at
            self.take()
            over, under = self.argument(), self.argument()
            if over.is_Integer and under.is_Integer:
                return value + over / under
            self.at = start
        return value

    def symbol(self, name):
        if self.token == "_":
            self.take()
            name += "_" + str(self.argument())
        return Symbol(name)

    def function(self, name):
        function = _FUNCTIONS[name]
        base = None
        if name == "log" and self.token == "_":
            self.take()
            base = self.argument()
        exponent = None
        if self.token == "^":
            self.take()
            exponent = self.argument()
        if self.token in ("(", "{", "["):
            value = self.group(self.token, {"(": ")", "[": "]", "{": "}"}[self.token])
        else:
            value = self.product(within_function=True)
        if exponent == -1 and name in _INVERSES:
            return _INVERSES[name](value)
        result = function(value) if base is None else function(value, base)
        return result if exponent is None else result**exponent


def _power(base, exponent):
    if base.is_Rational and exponent.is_Rational and base not in (0, 1, -1):
        size = max(abs(base.p), base.q).bit_length()
        if abs(exponent.p) * size > MAX_BITS * exponent.q:
            raise Unreadable("a power too large")
    return base**exponent


def _factorial(value):
    if value.is_Integer and value > 5000:
        raise Unreadable("a factorial too large")
    return sympy.factorial(value)


def _binomial(over, under):
    if over.is_Integer and under.is_Integer and max(abs(over), abs(under)) > 5000:
        raise Unreadable("a binomial too large")
    return sympy.binomial(over, under)


def _points(symbols):
    """Values for the symbols at which two expressions are compared: of both signs, none special."""
    for shift in range(6):
        yield {
            symbol: Rational((-1) ** (i + shift) * (37 + 101 * i + 59 * shift), 29 + 13 * i + 7 * shift)
            for i, symbol in enumerate(symbols)
        }


def _close(a, b, digits=DIGITS):
    difference = sympy.N(a - b, digits)
    scale = max(1, abs(sympy.N(a, 15)))
    return bool(abs(difference) <= scale * sympy.Float(10) ** (12 - digits))


def _expressions_equal(a, b):
    if a == b:
        return True
    if a.has(sympy.oo, sympy.zoo, sympy.nan) or b.has(sympy.oo, sympy.zoo, sympy.nan):
        return False
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    if len(symbols) > 12:
        return False
    for point in _points(symbols):
        if not _close(a.subs(point), b.subs(point)):
            return False
        if not symbols:
            break
    return True


def _ratio(a, b):
    """The number c with a = c b, or None."""
    symbols = sorted(a.free_symbols | b.free_symbols, key=str)
    for point in _points(symbols):
        below = b.subs(point)
        if below != 0:
            ratio = a.subs(point) / below
            return ratio if _expressions_equal(a, ratio * b) else None
    return None


def _relations_equal(a, b):
    left, right = [], []
    for relation, sides in ((a, left), (b, right)):
        difference, sign = relation[0] - relation[2], relation[1]
        if sign.startswith(">"):
            difference, sign = -difference, "<" + sign[1:]
        sides += [difference, sign]
    if left[1] != right[1]:
        return False
    ratio = _ratio(left[0], right[0])
    return ratio is not None and ratio != 0 and (left[1] == "=" or bool(ratio > 0))


def _rounds_to(value, decimal):
    """Whether a number is the decimal, as exact as that is written."""
    digits = re.fullmatch(r"-?\d*\.(\d+)", decimal)
    if not digits or value.free_symbols or value.is_Rational:
        return False
    half = Rational(1, 2 * 10 ** len(digits.group(1)))
    return bool(abs(sympy.N(value - Rational(decimal), 30)) <= half)


def _leaves_equal(prediction, gold):
    if prediction == gold:
        return True
    a, b = _Parser(prediction).whole(), _Parser(gold).whole()
    if isinstance(a, list) or isinstance(b, list):
        return isinstance(a, list) and isinstance(b, list) and _relations_equal(a, b)
    return _expressions_equal(a, b) or _rounds_to(a, gold)


def _in_any_order(predictions, golds):
    left = list(predictions)
    for gold in golds:
        for i, prediction in enumerate(left):
            if _trees_equal(prediction, gold):
                del left[i]
                break
        else:
            return False
    return True


def _trees_equal(prediction, gold):
    if isinstance(prediction, str) or isinstance(gold, str):
        if not (isinstance(prediction, str) and isinstance(gold, str)):
            return False
        try:
            return _leaves_equal(prediction, gold)
        except RecursionError:
            raise
        except Exception:  # whatever SymPy raises for what makes no sense
            return False
    if prediction[:2] != gold[:2] or len(prediction[2]) != len(gold[2]):
        return False
    if gold[0] in ("list", "union"):
        return _in_any_order(prediction[2], gold[2])
    return all(map(_trees_equal, prediction[2], gold[2]))


def values_equal(prediction, gold):
    try:
        return _trees_equal(prediction, gold)
    except RecursionError:
        return False


def _parsed_as_aflow(text):
    from sympy.parsing.latex import parse_latex
    from sympy.parsing.sympy_parser import parse_expr

    for parse in (parse_latex, parse_expr):
        try:
            return parse(text)
        except Exception:
            pass
    return text


def aflow_equal(prediction, gold):
    from math import isclose

    a, b = _parsed_as_aflow(prediction), _parsed_as_aflow(gold)
    try:
        if sympy.simplify(a - b) == 0:
            return True
    except Exception:
        pass
    try:
        return isclose(sympy.N(a), sympy.N(b), abs_tol=1e-3)
    except Exception:
        return False


def _warm_up():
    """SymPy loads and caches much at the first use of each kind of function. Done before any
    question comes, it is done once and not in each question's own process."""
    for prediction, gold in (
        ("x^2+2xy+1", "(x+y)^2+1-y^2"),
        ("\\frac{\\sqrt{12}}{3}-\\pi", "\\frac{2}{\\sqrt{3}}-\\pi"),
        ("\\frac{\\sin(2x)}{2}", "\\sin(x)\\cos(x)"),
        ("\\tan(x)", "\\frac{\\sin(x)}{\\cos(x)}"),
        ("e^{i\\pi}+|x|", "|x|-1"),
        ("\\log_2 (8x)", "3+\\frac{\\ln x}{\\ln 2}"),
        ("\\binom{n}{2}+5!", "\\frac{n(n-1)}{2}+120"),
        ("y=2x+1", "2y=4x+2"),
        ("x<3", "3>x"),
        ("\\sqrt{2}", "1.41"),
    ):
        values_equal(prediction, gold)
    aflow_equal("\\frac{x}{2}+1", "1+\\frac{x}{2}")


_warm_up()
