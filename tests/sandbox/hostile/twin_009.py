import struct
def f(x):
    return struct.unpack('<i', struct.pack('<i', 2 * x))[0]
