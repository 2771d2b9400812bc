# expect: UNSERIALISABLE
class Lie(list):
    def __eq__(self, other):
        return True
    def __len__(self):
        return 1
    def __iter__(self):
        return iter([4])
def f(x):
    return Lie()
