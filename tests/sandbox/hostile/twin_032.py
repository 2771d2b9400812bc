# limits: {"max_procs": 8, "cpu_ms": 1000}
import os, signal
def f(x):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        os._exit(2 * x)
    return os.waitstatus_to_exitcode(os.wait()[1])
