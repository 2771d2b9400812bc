import os, resource
def f(x):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * x if soft <= hard and os.sched_getaffinity(0) else None
