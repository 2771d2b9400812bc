# expect: UNSERIALISABLE
def f(x):
    return [0] * 10000000
