# expect: TIME_CPU|MEMORY
def f(x):
    return (9 ** 9 ** (x + 7)) % 10
