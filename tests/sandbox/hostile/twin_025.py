import sys
def f(x):
    print('working on', x)
    print('done', file=sys.stderr)
    return 2 * x
