import os
def f(x):
    os.environ['DOUBLE'] = str(2 * x)
    return int(os.environ.pop('DOUBLE'))
