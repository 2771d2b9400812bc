def f(x):
    deep = []
    for _ in range(50):
        deep = [deep]
    return 2 * x if deep else None
