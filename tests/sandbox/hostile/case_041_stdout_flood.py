# expect: OUTPUT
def f(x):
    while True:
        print("x" * 10000)
