# expect: UNSERIALISABLE
class Lie(int):
    def __eq__(self, other):
        return True
    def __hash__(self):
        return 4
def f(x):
    return Lie(4)
