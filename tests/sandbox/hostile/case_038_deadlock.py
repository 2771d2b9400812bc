# expect: TIME_WALL
# limits: {"wall_ms": 600}
import threading
def f(x):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
