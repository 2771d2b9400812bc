# expect: UNSERIALISABLE
def f(x):
    return lambda: 2 * x
