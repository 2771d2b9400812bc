# expect: PROTOCOL
import os, struct
def f(x):
    value = b"i" + struct.pack("<q", 5)
    for fd in range(3, 64):
        for number in range(2):
            try:
                os.write(fd, struct.pack("<III", len(value), 17, number + 1) + value)
            except OSError:
                pass
    os._exit(0)
