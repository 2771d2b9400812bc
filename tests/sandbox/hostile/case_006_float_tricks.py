# expect: UNSERIALISABLE
class Lie(float):
    def __sub__(self, other):
        return 0.0
    __rsub__ = __sub__
    def __abs__(self):
        return 0.0
def f(x):
    return Lie(1.0)
