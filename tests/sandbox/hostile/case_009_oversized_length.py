# expect: PROTOCOL
import os, struct
def f(x):
    os.write(3, struct.pack("<III", 1 << 30, 17, 0))
    return 4
