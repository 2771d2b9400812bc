# expect: UNSERIALISABLE
import sys
def f(x):
    return sys
