import builtins
def f(x):
    return builtins.sum([x, x]) if isinstance(x, int) else None
