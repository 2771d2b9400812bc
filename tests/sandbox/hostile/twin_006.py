def f(x):
    return float(x) + float(x)
