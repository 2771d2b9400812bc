# expect: HELD
import ctypes
def f(x):
    libc = ctypes.CDLL(None, use_errno=True)
    for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x10000000 | 0x10000):
        if libc.syscall(56, flag | 17, 0, 0, 0, 0) != -1:
            return "clone"
    if libc.syscall(435, 0, 0) != -1 or ctypes.get_errno() != 38:
        return "clone3"
    return "held"
