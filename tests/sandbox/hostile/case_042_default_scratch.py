# expect: HELD
# limits: {"cpu_ms": 2000}
import os, tempfile
def f(x):
    size = 0
    try:
        with open("huge", "wb", buffering=0) as file:
            while size < 1 << 30:
                size += file.write(b"x" * 65536)
    except OSError:
        pass
    os.unlink("huge")
    count = 0
    try:
        while count < 1000000:
            os.close(tempfile.mkstemp()[0])
            count += 1
    except OSError:
        pass
    return "held" if 8 << 20 < size <= 16 << 20 and 0 < count < 300 else (size, count)
