import os
def f(x):
    read, write = os.pipe()
    os.write(write, bytes([2 * x]))
    return os.read(read, 1)[0]
