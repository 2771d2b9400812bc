# expect: PROTOCOL
import os, struct
def f(x):
    for _ in range(1000000):
        os.write(3, struct.pack("<III", 0, 16, 0))
    return 4
