# expect: HELD
# limits: {"scratch_mb": 4}
import os
def f(x):
    with open("/tmp/sparse", "wb") as file:
        for attempt in (lambda: os.ftruncate(file.fileno(), 1 << 40),
                        lambda: os.pwrite(file.fileno(), b"x", 1 << 40),
                        lambda: os.posix_fallocate(file.fileno(), 0, 1 << 40)):
            try:
                attempt()
                return "made a file of 1 TiB"
            except OSError:
                pass
    return "held"
