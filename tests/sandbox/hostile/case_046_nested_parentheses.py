# expect: ERROR(MemoryError)|ERROR(SyntaxError)|MEMORY|ERROR(RecursionError)
def f(x):
    compile("(" * 100000 + ")" * 100000, "x", "eval")
