# expect: UNSERIALISABLE
# compare: {"abs": 0.5}
class Number:
    def __float__(self):
        return 4.0
    def __index__(self):
        return 4
    def __abs__(self):
        return 0
    def __sub__(self, other):
        return self
    __rsub__ = __sub__
def f(x):
    return Number()
