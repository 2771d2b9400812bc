# expect: WRONG
# passed: 0
import os, struct
value = b"i" + struct.pack("<q", 5)
def f(x):
    os.write(3, 2 * (struct.pack("<III", len(value), 17, 0) + value))
    return 4
