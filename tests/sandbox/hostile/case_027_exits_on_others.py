# expect: EXIT(0)
# passed: 1
import os
def f(x):
    if x != 2:
        os._exit(0)
    return 4
