# expect: ERROR(BlockingIOError)
# limits: {"max_procs": 60, "cpu_ms": 2000}
import os, threading, time
def f(x):
    while True:
        if os.fork() == 0:
            for _ in range(4):
                try:
                    threading.Thread(target=time.sleep, args=(60,)).start()
                except RuntimeError:
                    pass
            time.sleep(60)
