# expect: WRONG
# compare: {"abs": 0.5}
class Lie(float):
    def __sub__(self, other):
        return 0.0
    __rsub__ = __sub__
    def __abs__(self):
        return 0.0
    def __float__(self):
        return 4.0
def f(x):
    return Lie(1.0)
