import ctypes
def f(x):
    return ctypes.c_int.from_buffer(bytearray(ctypes.c_int(2 * x))).value
