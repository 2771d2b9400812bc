# expect: TIME_WALL|EXIT(0)|EXIT(3)
# limits: {"wall_ms": 600}
import os
def f(x):
    os.dup2(1, 3)
    return 4
