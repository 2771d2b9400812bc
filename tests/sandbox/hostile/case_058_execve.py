# expect: HELD
import os, subprocess
def f(x):
    loader = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    for attempt in (
        lambda: os.execv(loader, ["x"]),
        lambda: subprocess.run([loader]),
        lambda: os.posix_spawn(loader, ["x"], {}),
        lambda: os.execv(os.memfd_create("x"), ["x"]),
    ):
        try:
            attempt()
            return "ran"
        except (OSError, TypeError):
            pass
    return "held" if os.system("true") != 0 else "system"
