# driven: HostileDriven.Case029OddValuesCompareAsDeclared
def f(name):
    return {"nan": float("nan"), "nan in list": [float("nan")], "inf": float("inf"), "-0.0": -0.0,
            "True": True, "2.0": 2.0, "tuple": (1, 2), "list": [1, 2], "dict": {"b": 1, "a": 2},
            "set": {3, 1}, "big": 2**53 + 1, "big float": float(2**53), "bytes": b"a", "str": "a",
            "None": None, "0.3": 0.1 + 0.2, "nested": [(1, [2])]}[name]
