# limits: {"max_procs": 8, "cpu_ms": 1000}
import os
def f(x):
    if os.fork() == 0:
        os._exit(2 * x)
    return os.waitstatus_to_exitcode(os.wait()[1])
