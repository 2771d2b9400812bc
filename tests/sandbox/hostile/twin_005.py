class Count(int):
    pass
def f(x):
    return int(Count(x)) + x
