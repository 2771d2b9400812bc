import sys
def f(x):
    return 2 * x if sys._getframe().f_code.co_name == 'f' else None
