def f(x):
    blocks = [bytearray(10 << 20) for _ in range(8)]
    return 2 * x if len(blocks) == 8 else None
