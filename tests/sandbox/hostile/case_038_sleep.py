# expect: TIME_WALL
# limits: {"wall_ms": 600}
import time
def f(x):
    time.sleep(1000)
