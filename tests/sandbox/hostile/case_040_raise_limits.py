# expect: HELD
import os, resource
def f(x):
    for attempt in (
        lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
        lambda: resource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999)),
        lambda: os.nice(-5),
        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        lambda: os.sched_setaffinity(0, {0}),
    ):
        try:
            attempt()
            return "raised"
        except (OSError, ValueError):
            pass
    return "held"
