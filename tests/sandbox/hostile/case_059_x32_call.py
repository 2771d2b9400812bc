# expect: POLICY
import ctypes
def f(x):
    ctypes.CDLL(None).syscall(0x40000000 | 39)
    return 4
