# expect: MEMORY|ERROR(MemoryError)|WRONG|TIME_CPU
def f(x):
    return len(eval("'a' * 10**9"))
