# expect: POLICY
import ctypes
def f(x):
    ctypes.CDLL(None).syscall(155, 0, 0, 0, 0, 0)
    return 4
