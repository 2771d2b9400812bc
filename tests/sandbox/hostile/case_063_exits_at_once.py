# expect: ERROR(exit 7)
# runs: 500
import os
def f(x):
    os._exit(7)
