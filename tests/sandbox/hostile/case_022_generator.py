# expect: UNSERIALISABLE
def f(x):
    yield 4
