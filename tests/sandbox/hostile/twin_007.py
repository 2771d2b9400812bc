def f(x):
    nested = [{'a': (x, x)}]
    return sum(nested[0]['a'])
