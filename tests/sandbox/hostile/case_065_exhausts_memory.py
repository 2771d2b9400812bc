# expect: MEMORY|ERROR(MemoryError)
# limits: {"max_procs": 16, "cpu_ms": 2000, "memory_mb": 64}
import os
def f(x):
    try:
        while os.fork():
            pass
    except OSError:
        pass
    blocks = []
    while True:
        blocks.append(bytearray(b"x" * (1 << 20)))
