# expect: PROTOCOL
import os
def f(x):
    os.write(3, b"\x10\0\0")
    return 4
