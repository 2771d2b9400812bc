"""Further tests of a reference: type-aware mutation of the inputs that its tests have.

Mutations are those of arXiv:2305.01210, table 1, with values of other inputs as ingredients.
Deviation: where that work filters inputs by contracts that people wrote, an input here keeps the
habits that all given inputs share (signs, order, lengths that agree, kinds of text), while such
inputs show more than one value; else only their types. Runs in the jail; what it gives depends on
its arguments alone.
"""

import collections
import copy
import itertools
import random
import sys

from comparisons import CALL, written
from recorder import has_float, is_plain

_MAX_STEPS = 5  # mutations of one input
_MAX_LINES = 100_000  # lines that the reference may run for one input
_MAX_CHARS = 2000  # of an input or a value, written out
_FLOAT_RULE = {"abs": 1e-6, "rel": 1e-7}  # EvalPlus'
_SIZED = (str, list, tuple, set, frozenset, dict)
_TEXT_HABITS = ("isdigit", "isalpha", "isalnum", "islower", "isupper", "isascii", "isidentifier")


class _TooLong(BaseException):
    pass


def ingredients_of(value, found):
    """Values by type at any depth."""
    if isinstance(value, dict):
        for each in itertools.chain(value, value.values()):
            ingredients_of(each, found)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            ingredients_of(each, found)
    elif type(value) in (int, float, str) and value not in found[type(value)]:
        found[type(value)].append(value)
    return found


class Mutator:
    def __init__(self, rng, ingredients):
        self.rng, self.ingredients = rng, ingredients

    def mutated(self, value):
        kind = type(value)
        if kind is bool:
            return self.rng.random() < 0.5
        if kind in (int, float, str) and self.ingredients[kind] and self.rng.random() < 0.25:
            return self.rng.choice(self.ingredients[kind])
        if kind is int:
            return value + self.rng.choice((-1, 1))
        if kind is float:
            return value + self.rng.choice((-1.0, 1.0, 0.5 * value, -0.5 * value))
        if kind is str:
            return self._text(value)
        if kind is list:
            return self._list(value)
        if kind in (tuple, set, frozenset):
            items = self._list(sorted(value, key=repr) if kind is not tuple else list(value))
            return kind(each for each in items if kind is tuple or _is_hashable(each))
        if isinstance(value, dict):
            return self._dict(value)
        return value  # None, complex, bytes

    def _text(self, text):
        if not text:
            return self.rng.choice(self.ingredients[str] or ["a"])
        start = self.rng.randrange(len(text))
        end = self.rng.randint(start + 1, min(len(text), start + 4))
        part = text[start:end]
        change = self.rng.choice(("remove", "repeat", "replace", "other"))
        if change == "other":  # one of the same kind, so that digits stay digits
            part = _neighbour(part[0], self.rng) + part[1:]
        elif change == "replace":
            part = part[::-1] if len(part) > 1 else self.rng.choice(text)
        else:
            part = part * 2 if change == "repeat" else ""
        return text[:start] + part + text[end:]

    def _list(self, items):
        items = list(items)
        if not items:
            return items
        place, source = self.rng.randrange(len(items)), self.rng.choice(items)
        change = self.rng.choice(("remove", "repeat", "insert", "replace", "swap"))
        if change == "remove":
            items.pop(place)
        elif change == "repeat":
            items.insert(place, copy.deepcopy(source))
        elif change == "insert":
            items.insert(place, self.mutated(source))
        elif change == "replace":
            items[place] = self.mutated(items[place])
        else:
            other = self.rng.randrange(len(items))
            items[place], items[other] = items[other], items[place]
        return items

    def _dict(self, value):
        value = dict(value)
        if not value:
            return value
        key = self.rng.choice(list(value))
        change = self.rng.choice(("remove", "update", "insert"))
        if change == "remove":
            del value[key]
        elif change == "update":
            value[key] = self.mutated(value[key])
        else:
            new = self.mutated(key)
            if _is_hashable(new):
                value[new] = self.mutated(value[key])
        return value


def _neighbour(character, rng):
    for kind in ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if character in kind:
            return rng.choice(kind)
    return character


def _is_hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _is_number(value):
    return type(value) in (int, float)


def _items_of(value):
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else []


def _is_sorted(value):
    items = _items_of(value)
    try:
        return all(x <= y for x, y in zip(items, items[1:]))
    except TypeError:
        return False


def _kinds_at(value, depth=0):
    """(depth, type) of everything in a value."""
    inner = itertools.chain(value, value.values()) if isinstance(value, dict) else _items_of(value)
    yield depth, type(value)
    for each in inner:
        yield from _kinds_at(each, depth + 1)


def _habits_of_one(value):
    """What may be said of an argument; each a name and whether it holds."""
    if isinstance(value, _SIZED):
        yield "empty", not value
        yield "longer than one", len(value) > 1
    if _is_number(value):
        yield "negative", value < 0
        yield "not positive", value <= 0
    if isinstance(value, str):
        for name in _TEXT_HABITS:
            yield "not " + name, not getattr(value, name)()
        yield "spaced", " " in value
    items = _items_of(value)
    if items:
        yield "not sorted", not _is_sorted(value)
        yield "repeating", len({repr(each) for each in items}) < len(items)
        yield "mixed", len({type(each) for each in items}) > 1
        yield "of uneven lengths", len({len(e) for e in items if isinstance(e, _SIZED)}) > 1
        for each in items:
            for name, holds in _habits_of_one(each):
                yield "item " + name, holds


def _habits_of_two(x, y):
    if isinstance(x, _SIZED) and isinstance(y, _SIZED):
        yield "lengths differ", len(x) != len(y)
    for name, small, big in (("", x, y), ("swapped ", y, x)):
        if type(small) is int and isinstance(big, _SIZED):
            yield name + "is not the length", small != len(big)
            yield name + "beyond the length", small > len(big)
            yield name + "not below the length", small >= len(big)
        if _is_number(small) and _is_number(big):
            yield name + "greater", small > big
            yield name + "not less", small >= big


def _habits(arguments):
    """(places of the arguments, name) of what holds of an input."""
    places = [((i,), _habits_of_one(each)) for i, each in enumerate(arguments)]
    for (i, x), (j, y) in itertools.combinations(enumerate(arguments), 2):
        places.append(((i, j), _habits_of_two(x, y)))
    return {(place, name) for place, habits in places for name, holds in habits if holds}


class Habits:
    """What no given input does, a further one does not do either."""

    def __init__(self, inputs):
        self.kinds = [set() for _ in inputs[0]]
        self.allowed, self.bounds = set(), [0.0] * len(inputs[0])
        for arguments in inputs:
            self.allowed |= _habits(arguments)
            for i, each in enumerate(arguments):
                self.kinds[i] |= set(_kinds_at(each))
                if _is_number(each):
                    self.bounds[i] = max(self.bounds[i], abs(each))

    def fit_types(self, arguments):
        return all(set(_kinds_at(each)) <= kinds for each, kinds in zip(arguments, self.kinds))

    def fit(self, arguments):
        in_bounds = all(not _is_number(each) or abs(each) <= 2 * bound + 10
                        for each, bound in zip(arguments, self.bounds))
        return in_bounds and _habits(arguments) <= self.allowed


def _run_limited(function, args, kwargs):
    """The value of a call that runs at most _MAX_LINES lines."""
    count = 0

    def trace(*_):
        nonlocal count
        count += 1
        if count > _MAX_LINES:
            raise _TooLong
        return trace

    sys.settrace(trace)
    try:
        return function(*args, **kwargs)
    finally:
        sys.settrace(None)


class _Reference:
    def __init__(self, code, before, entry_point, shape):
        self.space = {"__name__": "candidate"}
        exec(compile(code, "<reference>", "exec"), self.space)
        exec(compile(before, "<setup>", "exec"), self.space)
        self.function = self.space[entry_point]
        self.shape = compile(shape, "<shape>", "eval")

    def value(self, args, kwargs):
        """(whether there is one, value): the same at both of two calls, plain and not too long."""
        values = []
        for _ in range(2):
            given = copy.deepcopy((args, kwargs))
            try:
                value = _run_limited(self.function, *given)
                value = eval(self.shape, {**self.space, CALL: value})
                if not is_plain(value) or len(repr(value)) > _MAX_CHARS or value != value:
                    return False, None
            except (Exception, _TooLong, SystemExit):
                return False, None
            values.append(copy.deepcopy(value))
        return values[0] == values[1], values[0]


def _chosen(found, public, count):
    """Up to `count` of (args, kwargs, value) that expect as many values as possible, first others
    than the public test's and such as do not repeat the first argument."""

    def is_echo(each):
        return bool(each[0]) and each[0][0] == each[2]

    groups = collections.OrderedDict()
    for each in found:
        groups.setdefault(repr(each[2]), []).append(each)
    for group in groups.values():
        group.sort(key=is_echo)
    ordered = sorted(groups.values(), key=lambda one: (one[0][2] == public, is_echo(one[0])))
    rounds = itertools.zip_longest(*ordered)
    return [each for one in rounds for each in one if each is not None][:count]


def _search(reference, seeds, tried, count, rng):
    """(args, kwargs, value) of mutated inputs: such as fit the habits, then, where those show one
    value only, of the same types."""
    names = sorted(seeds[0][1])
    inputs = [(*args, *[kwargs[each] for each in names]) for args, kwargs in seeds]
    num_args = len(seeds[0][0])
    inputs = [each for each in inputs if len(each) == len(inputs[0])]
    habits = Habits(inputs)
    mutator = Mutator(rng, ingredients_of(inputs, collections.defaultdict(list)))
    found = []
    for fits in (habits.fit, habits.fit_types):
        enough = len(found) + 4 * count
        for _ in range(100 + 60 * count):
            arguments = copy.deepcopy(list(rng.choice(inputs)))
            for _ in range(rng.randint(1, _MAX_STEPS) if arguments else 0):
                place = rng.randrange(len(arguments))
                arguments[place] = mutator.mutated(arguments[place])
            text = repr(tuple(arguments))
            if text in tried or len(text) > _MAX_CHARS:
                continue
            if not (habits.fit_types(arguments) and fits(arguments)):
                continue
            tried.add(text)
            args, kwargs = tuple(arguments[:num_args]), dict(zip(names, arguments[num_args:]))
            good, value = reference.value(args, kwargs)
            if good:
                found.append((args, kwargs, value))
            if len(found) >= enough:
                break
        differs = any(not args or args[0] != value for args, _, value in found)
        if differs and len({repr(value) for _, _, value in found}) > 1:
            break
    return found


def further_tests(code, entry_point, seeds, count, seed):
    """Up to `count` tests as in a call-mode row. `seeds`: of each given test (args, kwargs, shape,
    expected, comparer or None, statements before), the public one first."""
    shape = collections.Counter(each[2] for each in seeds).most_common(1)[0][0]
    alike = [each for each in seeds if each[2] == shape]
    alike = [each for each in alike if sorted(each[1]) == sorted(alike[0][1])]
    rule = dict(_FLOAT_RULE)
    for each in seeds:
        for key, bound in (each[4] or {}).items():
            rule[key] = max(rule[key], bound)
    before = alike[0][5]
    reference = _Reference(code, before, entry_point, shape)
    tried = {repr((*each[0], *[each[1][name] for name in sorted(each[1])])) for each in seeds}
    found = _search(reference, [each[:2] for each in alike], tried, count, random.Random(seed))
    tests = []
    for args, kwargs, value in _chosen(found, seeds[0][3], count):
        record = {"args": args}
        if kwargs:
            record["kwargs"] = kwargs
        if shape != CALL:
            record = {"call": written(shape, entry_point, args, kwargs)}
            if before.strip():
                record["before"] = before
        if has_float(value):
            record["compare"] = rule
        record["expected"] = value
        tests.append(record)
    return tests
