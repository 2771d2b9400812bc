# expect: PROTOCOL
import os, struct
def f(x):
    value = b"i" + struct.pack("<q", 2 * x)
    os.write(3, struct.pack("<III", len(value), 17, 1000) + value)
    return 2 * x
