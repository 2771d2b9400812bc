# expect: MEMORY
# limits: {"memory_mb": 64, "cpu_ms": 1000}
# peak_mb: 110
def f(x):
    blocks = []
    while True:
        blocks.append(bytearray(b"x" * 10000000))
