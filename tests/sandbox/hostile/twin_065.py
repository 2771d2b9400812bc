import os
def f(x):
    try:
        os.fork()
    except OSError:
        return 2 * x
