# expect: HELD
import ctypes, os
def f(x):
    libc = ctypes.CDLL(None)
    for number, *args in ((29, 0, 4096, 0o1600), (68, 0, 0o1600), (64, 0, 1, 0o1600), (240, b"/q", 66, 0, 0)):
        if libc.syscall(number, *args) != -1:
            return str(number)
    try:
        os.memfd_create("x")
        return "memfd"
    except OSError:
        return "held"
