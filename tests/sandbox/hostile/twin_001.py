import os
start = os.getpid()
def f(x):
    return 2 * x if start else None
