import sys
def f(x):
    if x < 0:
        sys.exit('negative')
    return 2 * x
