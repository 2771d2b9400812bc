# expect: MEMORY|TIME_CPU|ERROR(SyntaxError)|WRONG
def f(x):
    exec("x = [" + "[[1, 2], (3, 4)], " * 600000 + "]")
