import os, struct
ours, theirs = os.pipe()
def f(x):
    for _ in range(100):
        os.write(theirs, struct.pack("<iI", 2 * x, 17))
    return [struct.unpack("<iI", os.read(ours, 8)) for _ in range(100)][0][0]
