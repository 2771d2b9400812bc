import os
def f(x):
    copy = os.dup(1)
    os.close(copy)
    return 2 * x
