"""Functions that workflows may call: a search over notes, and a calculator."""

import ast
import operator

NOTES = [
    "Ada keeps the keys of the store room.",
    "Bob orders bolts on Mondays: 250 a week, at 0.04 each.",
    "Cyd measured the north wall: 7.5 by 2.4 metres.",
]
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def search(query, k=1):
    """The k notes that share most words with the query, the best first."""
    words = set(query.lower().replace("?", "").split())
    return sorted(NOTES, key=lambda note: -len(words & set(note.lower().split())))[:k]


def calculate(expression):
    """The value of an arithmetic expression, as '7.5 * 2.4'."""

    def value(node):
        if isinstance(node, ast.Constant):
            return node.value
        return _OPERATORS[type(node.op)](value(node.left), value(node.right))

    return value(ast.parse(expression, mode="eval").body)
