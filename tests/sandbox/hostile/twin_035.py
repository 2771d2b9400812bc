def f(x):
    return 2 * x if len(bytes(100 << 20)) else None
