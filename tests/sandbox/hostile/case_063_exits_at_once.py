# expect: ERROR(exit 7)
import os
def f(x):
    os._exit(7)
