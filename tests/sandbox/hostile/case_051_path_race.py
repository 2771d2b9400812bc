# expect: HELD
# limits: {"scratch_mb": 4, "cpu_ms": 1000}
import ctypes, os, threading, time
def f(x):
    open("/tmp/result", "w").close()
    os.symlink("@MARKER@", "/tmp/other")
    exchange = lambda: ctypes.CDLL(None).syscall(316, -100, b"/tmp/result", -100, b"/tmp/other", 2)
    if exchange() != 0:
        return "no exchange"
    def race():
        while True:
            exchange()
    threading.Thread(target=race, daemon=True).start()
    for _ in range(1000):
        try:
            if open("/tmp/result").read():
                return "read outside"
        except OSError:
            pass
    return "held"
