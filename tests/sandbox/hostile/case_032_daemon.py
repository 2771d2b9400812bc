# expect: WRONG|PROTOCOL
# limits: {"max_procs": 8}
# runs: 3
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
                for fd in (1, 3):
                    try:
                        os.write(fd, b".")
                    except OSError:
                        pass
                time.sleep(0.01)
        os._exit(0)
    return 5
