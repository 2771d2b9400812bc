def f(x):
    total = 0
    for _ in range(100000):
        total += 1
    return 2 * x if total else None
