# expect: MEMORY
def f(x):
    return len(bytearray(8 << 30))
