# expect: ERROR(BlockingIOError)
# limits: {"max_procs": 8, "cpu_ms": 1000}
import os, time
def f(x):
    while True:
        if os.fork() == 0:
            time.sleep(60)
