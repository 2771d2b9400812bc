# expect: HELD
# limits: {"scratch_mb": 4, "cpu_ms": 1000}
def f(x):
    size = 0
    try:
        with open("/tmp/huge", "wb", buffering=0) as file:
            while size < 1 << 30:
                size += file.write(b"x" * 65536)
    except OSError:
        return "held" if 1 << 20 < size <= 4 << 20 else size
    return "wrote 1 GiB"
