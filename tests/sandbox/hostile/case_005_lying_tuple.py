# expect: WRONG
class Lie(tuple):
    def __len__(self):
        return 1
    def __iter__(self):
        return iter([4])
    def __int__(self):
        return 4
def f(x):
    return Lie((1, 2, 3))
