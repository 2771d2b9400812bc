# expect: HELD
# limits: {"scratch_mb": 0}
import os
def f(x):
    for attempt in (lambda: open("/tmp/x", "w"), lambda: os.mkdir("/tmp/d"), lambda: os.mkfifo("/tmp/p")):
        try:
            attempt()
            return "wrote"
        except OSError:
            pass
    return "held"
