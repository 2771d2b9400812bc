# expect: HELD
import os
def f(x):
    for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]),
                    lambda: os.mknod("/x")):
        try:
            attempt()
            return "changed"
        except OSError:
            pass
    return "held"
