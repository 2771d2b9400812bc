# expect: UNSERIALISABLE
def f(x):
    return int
