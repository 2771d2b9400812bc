text = 'a' * 10**5
def f(x):
    return eval('(' * 50 + '2 * x' + ')' * 50, {'x': x})
