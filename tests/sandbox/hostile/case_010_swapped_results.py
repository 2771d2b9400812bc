# expect: PROTOCOL
import os, struct
def f(x):
    for number in (1, 0):
        value = b"i" + struct.pack("<q", 2 * (number + 2))
        os.write(3, struct.pack("<III", len(value), 17, number) + value)
    return 2 * x
