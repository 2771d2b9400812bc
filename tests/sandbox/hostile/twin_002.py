def f(x):
    try:
        raise SystemExit
    except SystemExit:
        return 2 * x
