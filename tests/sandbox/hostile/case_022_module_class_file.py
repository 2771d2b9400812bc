# expect: UNSERIALISABLE
import sys
def f(x):
    return [sys, int, sys.stdout, f][x - 2]
