# expect: UNSERIALISABLE
import fractions
class Equal(int):
    def __eq__(self, other):
        return True
    __hash__ = int.__hash__
def f(x):
    fractions.Fraction.__eq__ = lambda self, other: True
    half = fractions.Fraction(1, 2)
    half._numerator = Equal(4)
    return half
