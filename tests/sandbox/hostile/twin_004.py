class Number:
    def __init__(self, n):
        self.n = n
    def __eq__(self, other):
        return self.n == other.n
def f(x):
    return 2 * x if Number(x) == Number(x) else None
