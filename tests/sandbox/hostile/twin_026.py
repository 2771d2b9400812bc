import atexit
atexit.register(lambda: None)
def f(x):
    return 2 * x
