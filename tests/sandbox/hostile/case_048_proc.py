# expect: HELD
def f(x):
    for path in ("self/mem", "1/environ", "1/cmdline", "self/fd/3", "self/environ", "self/maps"):
        try:
            open("/proc/" + path, "rb")
            return path
        except OSError:
            pass
    return "held"
