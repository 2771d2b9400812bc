# expect: MEMORY|TIME_CPU
import zlib
def f(x):
    packed = zlib.compress(b"0" * (50 << 20))
    return [zlib.decompress(packed) for _ in range(100)]
