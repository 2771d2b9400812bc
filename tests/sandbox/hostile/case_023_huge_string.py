# expect: UNSERIALISABLE
def f(x):
    return "a" * 50000000
