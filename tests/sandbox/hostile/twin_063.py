# limits: {"max_procs": 4, "cpu_ms": 1000}
import os
def f(x):
    for _ in range(20):
        child = os.fork()
        if child == 0:
            os._exit(2 * x)
        status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status)
