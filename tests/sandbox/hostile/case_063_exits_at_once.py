# expect: EXIT(7)
# runs: 10000
import os
def f(x):
    os._exit(7)
