# expect: TIME_WALL|ERROR(exit 0)|ERROR(exit 3)
# limits: {"wall_ms": 600}
import os
def f(x):
    os.dup2(1, 3)
    return 4
