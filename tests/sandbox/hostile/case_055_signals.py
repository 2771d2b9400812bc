# expect: HELD
import ctypes, os, signal
def f(x):
    for pid in (1, os.getppid(), -1, 0, 2, 3, 4, 5):
        for number in (9, 15, 2, 19):
            try:
                os.kill(pid, number)
                return f"kill {pid}"
            except (PermissionError, ProcessLookupError):
                pass
    try:
        os.killpg(0, 9)
        return "killpg"
    except PermissionError:
        pass
    ctypes.CDLL(None).syscall(234, 1, 1, 9)
    return "held"
