# expect: WRONG
# limits: {"max_procs": 8}
import os, signal, time
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            while True:
                os.write(1, b".")
                time.sleep(0.01)
        os._exit(0)
    return 5
