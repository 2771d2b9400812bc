import os
def f(x):
    return 2 * x if os.getuid() == os.geteuid() and os.getcwd() else None
