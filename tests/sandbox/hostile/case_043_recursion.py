# expect: ERROR(RecursionError)
def f(x):
    return f(x)
