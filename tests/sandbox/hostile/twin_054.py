import ctypes, os
def f(x):
    return 2 * x if ctypes.CDLL(None).getpid() == os.getpid() else None
