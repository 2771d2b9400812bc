"""Seeded makers of arguments, by the names used in the family tables."""

SHOWN = "shown"  # as a row's hint: the prompt names the reference expression

WORDS = (
    "apple river stone cloud green table music paper light sugar window garden silver "
    "bottle orange kitten planet letter summer bridge ant sea owl eel ink oak ape arena alpha "
    "banana level tomato radio noon echo area onion eagle umbrella island number python"
).split()


def word(rng):
    return rng.choice(WORDS)


def sentence(rng, low=2, high=6):
    return " ".join(word(rng) for _ in range(rng.randint(low, high)))


def text(rng):
    words = [w.capitalize() if rng.random() < 0.4 else w for w in sentence(rng).split()]
    return " ".join(words) + rng.choice(["", ".", "!"])


def mixed(rng):
    parts = [
        rng.choice([word(rng), str(rng.randint(0, 999)), "A-1", "x2", "no!"])
        for _ in range(rng.randint(2, 4))
    ]
    return rng.choice(["", " ", "-"]).join(parts)


def letters_from(rng, alphabet, low, high):
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def ints(rng, low=-20, high=50, shortest=2, longest=8):
    return [rng.randint(low, high) for _ in range(rng.randint(shortest, longest))]


def palindrome(rng, alphabet="abcde"):
    half = letters_from(rng, alphabet, 1, 3)
    middle = rng.choice(["", rng.choice(alphabet)])
    return half + middle + half[::-1] if rng.random() < 0.5 else half + middle + half


def table(rng, low=1, high=10, shortest=2, distinct=False):
    keys = rng.sample("abcdefgh", rng.randint(shortest, 6))
    values = (
        rng.sample(range(low, high + 1), len(keys))
        if distinct
        else [rng.randint(low, high) for _ in keys]
    )
    return dict(zip(keys, values))


def maybe_sorted(rng):
    values = ints(rng, 0, 12, 3, 6)
    return rng.choice([sorted(values), sorted(set(values)) + [13], values])


def matrix(rng, rows=None, columns=None):
    columns = columns or rng.randint(1, 4)
    return [[rng.randint(-9, 20) for _ in range(columns)] for _ in range(rows or rng.randint(1, 4))]


def square(rng):
    size = rng.randint(3, 4)
    return matrix(rng, size, size)


def same_length(rng, low, high):
    count = rng.randint(1, 6)
    return [[rng.randint(low, high) for _ in range(count)] for _ in range(2)]


def anagram(rng):
    first = word(rng)
    return [first, "".join(rng.sample(first, len(first))) if rng.random() < 0.5 else word(rng)]


def part_pair(rng):
    first = word(rng)
    part = first[rng.randint(0, 2) : rng.randint(3, 5)]
    return rng.choice([[first, part], [part, first], [first, word(rng)]])


def keys_values(rng):
    made = table(rng)
    return [list(made), list(made.values())]


def absolute_distinct(rng):
    return [value * rng.choice([-1, 1]) for value in rng.sample(range(1, 40), rng.randint(2, 7))]


def number(low, high):
    return lambda rng: rng.randint(low, high)


def one_of(*values):
    return lambda rng: rng.choice(values)


def short(alphabet, low, high):
    return lambda rng: letters_from(rng, alphabet, low, high)


def numbers(*limits):
    return lambda rng: ints(rng, *limits)


def sample_of(values, low, high):
    return lambda rng: rng.sample(values, rng.randint(low, high))


SINGLE = {  # one argument each
    "word": word,
    "text": text,
    "lowertext": sentence,
    "mixed": mixed,
    "oddword": lambda rng: (word(rng) + "xy")[:5],
    "abword": short("abc", 3, 9),
    "shortword": short("abcdefgh", 2, 5),
    "reptext": lambda rng: " ".join(rng.choice(["red", "blue", "cat", "dog"]) for _ in range(6)),
    "words": sample_of(WORDS, 2, 6),
    "tag": one_of("b", "i", "p", "em", "h1"),
    "filename": lambda rng: word(rng) + rng.choice([".txt", ".py", ".tar.gz", ".html", "_1.csv"]),
    "address": lambda rng: word(rng) + rng.choice(["", ".x", "7"]) + "@" + word(rng) + ".org",
    "char": one_of(*"aeiorst"),
    "ab": one_of(*"abc"),
    "cd": one_of(*"abcd"),
    "letter": one_of(*"abcdefghijklmnopqrstuvwxyz"),
    "codes": lambda rng: [ord(c) for c in word(rng)],
    "palcase": lambda rng: palindrome(rng, "abAB"),
    "pals": lambda rng: [palindrome(rng) for _ in range(rng.randint(2, 5))],
    "palint": lambda rng: int(palindrome(rng, "12349")),
    "pallist": lambda rng: [ord(c) - 96 for c in palindrome(rng)],
    "ints": ints,
    "ints3": numbers(-20, 50, 4, 9),
    "posints": numbers(1, 40),
    "dups": numbers(1, 5, 2, 8),
    "sub": numbers(1, 5, 1, 3),
    "oddlist": lambda rng: rng.sample(range(60), rng.choice([3, 5, 7])),
    "evenlist": lambda rng: rng.sample(range(60), rng.choice([2, 4, 6])),
    "absdistinct": absolute_distinct,
    "maybe_sorted": maybe_sorted,
    "maybe_neg": numbers(-1, 9, 2, 5),
    "bools": lambda rng: [rng.random() < 0.4 for _ in range(rng.randint(2, 7))],
    "hetero": lambda rng: [rng.choice([word, number(0, 9)])(rng) for _ in range(rng.randint(2, 6))],
    "pairs": lambda rng: [[rng.randint(0, 30), value] for value in sample_of(range(20), 2, 5)(rng)],
    "dict": table,
    "dict0": lambda rng: {} if rng.random() < 0.2 else table(rng),
    "distinctdict": lambda rng: table(rng, distinct=True),
    "lists": lambda rng: [ints(rng, 0, 9, 0, 4) for _ in range(rng.randint(2, 5))],
    "matrix": matrix,
    "square": square,
    "bits": short("01", 2, 9),
    "maybe_bits": short("000011112", 2, 6),
    "year": one_of(
        1600,
        1700,
        1800,
        1900,
        1996,
        1999,
        2000,
        2001,
        2004,
        2010,
        2012,
        2020,
        2023,
        2024,
        2025,
        2100,
        2200,
        2400,
    ),
    "perfect": one_of(
        1, 2, 3, 4, 6, 8, 10, 12, 18, 20, 24, 28, 30, 36, 40, 60, 100, 496, 500, 8128
    ),
    "maybe_square": lambda rng: rng.choice([rng.randint(0, 15) ** 2, rng.randint(0, 200)]),
    "maybe_pow2": lambda rng: rng.choice([2 ** rng.randint(0, 10), rng.randint(1, 200)]),
    "fives": lambda rng: 5 * rng.randint(-10, 30),
    "fives_pos": lambda rng: 20 * rng.randint(1, 40),
    "neg": number(-30, 30),
    "tiny": number(-9, 9),
    "fizz": lambda rng: rng.choice([3, 5, 15, 1]) * rng.randint(1, 12),
    "scores": number(-60, 160),
    "age": number(1, 40),
    "nbig": number(1, 99999),
    "pin": lambda rng: letters_from(rng, rng.choice(["0123456789", "0123456789a"]), 3, 5),
    "emailish": lambda rng: rng.choice(["", "@", word(rng)])
    + "@"
    + rng.choice(["", word(rng), "a@b"]),
    "parens": short("(())a", 2, 8),
}

SEVERAL = {  # all arguments at once
    "three": lambda rng: rng.sample(range(-20, 40), 3),
    "twolists": lambda rng: same_length(rng, -9, 20),
    "twopos": lambda rng: same_length(rng, 0, 15),
    "twodups": lambda rng: same_length(rng, 1, 3),
    "anagram": anagram,
    "part_pair": part_pair,
    "keysvalues": keys_values,
}

RANGES = {
    "n13": (1, 3),
    "n15": (1, 5),
    "n16": (1, 6),
    "n25": (2, 5),
    "n29": (2, 9),
    "n36": (3, 6),
    "n69": (6, 9),
    "n02": (0, 2),
    "n09": (0, 9),
    "n110": (1, 10),
    "n120": (1, 20),
    "n020": (0, 20),
    "n059": (0, 59),
    "n030": (0, 30),
    "n080": (0, 80),
    "n1020": (10, 20),
    "n2050": (20, 50),
    "n1100": (1, 100),
    "n2100": (2, 100),
    "n1000": (1, 1000),
}
SINGLE.update({name: number(*limits) for name, limits in RANGES.items()})


def arguments(spec, rng):
    """spec: one name of SEVERAL, or names of SINGLE, one per argument, with spaces between."""
    if spec in SEVERAL:
        return list(SEVERAL[spec](rng))
    return [SINGLE[name](rng) for name in spec.split()]
