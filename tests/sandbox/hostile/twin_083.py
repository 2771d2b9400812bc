import functools, sys, threading
def f(x):
    sys.setrecursionlimit(1 << 20)
    threading.stack_size(64 << 20)
    @functools.cache
    def double(n):
        return double(n - 1) + 2 if n else 0
    found = []
    thread = threading.Thread(target=lambda: found.append(double(20000 + x)))
    thread.start()
    thread.join()
    return found[0] - 40000
