# expect: HELD
import fcntl
import os


def f(x):
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(writer, 1031, 1 << 20)  # F_SETPIPE_SZ
        return "larger"
    except PermissionError:
        return "held"
