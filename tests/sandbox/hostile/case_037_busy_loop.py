# expect: TIME_CPU
def f(x):
    while True:
        pass
