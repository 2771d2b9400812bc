# expect: ERROR(AssertionError)
import sys
def hook(frame, event, arg):
    return hook
sys.settrace(hook)
sys.setprofile(hook)
def f(x):
    assert x == 5
