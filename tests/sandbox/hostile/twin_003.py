def f(x):
    return 2 * x if callable(exit) and callable(quit) else None
