import os
def f(x):
    return 2 * x if os.getpid() > 0 else None
