import re, zlib
def f(x):
    text = zlib.decompress(zlib.compress(b'a' * 100000))
    return 2 * x if re.fullmatch(b'a+', text) and len(str(9**9**2)) == 78 else None
