def f(x, depth=500):
    return f(x, depth - 1) if depth else 2 * x
