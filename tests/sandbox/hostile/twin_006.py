# compare: {"abs": 0.5}
def f(x):
    return float(x) + float(x) + 0.25
