# expect: PROTOCOL
# passed: 1
import os, struct
def f(x):
    value = b"i" + struct.pack("<q", 2 * x)
    os.write(3, 2 * (struct.pack("<III", len(value), 17, x - 2) + value))
    return 2 * x
