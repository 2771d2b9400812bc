# expect: UNSERIALISABLE
import collections, sys, types
class Decimal:
    def as_integer_ratio(self):
        return 4, 1
    def __eq__(self, other):
        return True
Decimal.__module__ = "decimal"
def f(x):
    sys.modules["decimal"] = types.SimpleNamespace(Decimal=Decimal)
    return Decimal()
