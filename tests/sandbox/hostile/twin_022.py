import sys
async def double(x):
    return 2 * x
def finish(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
def count(n):
    yield from range(n)
def f(x):
    sys.stdout.write("counting\n")
    return int(len(list(count(2 * x))) + (lambda: finish(double(0)))())
