# expect: EXIT(0)
import os
def f(x):
    os.write(3, b"\x10\0\0")
    os._exit(0)
