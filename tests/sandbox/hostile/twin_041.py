def f(x):
    print('x' * 10000)
    return 2 * x
