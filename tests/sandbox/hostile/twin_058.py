import shlex
def f(x):
    return 2 * x if shlex.split('run this') == ['run', 'this'] else None
