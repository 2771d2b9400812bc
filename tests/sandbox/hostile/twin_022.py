def count(n):
    yield from range(n)
def f(x):
    return len(list(count(2 * x)))
