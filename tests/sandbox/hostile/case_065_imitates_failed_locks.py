# expect: EXIT(121)
import os
def f(x):
    os._exit(120 + (x == 2))
