# expect: TIME_WALL|ERROR(exit 0)|ERROR(exit 3)
import os
def f(x):
    os.dup2(1, 3)
    return 4
