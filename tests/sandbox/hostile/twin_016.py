import sys
lines = []
def f(x):
    sys.settrace(lambda *args: lines.append(1))
    answer = (lambda: 2 * x)()
    sys.settrace(None)
    return answer if lines else None
