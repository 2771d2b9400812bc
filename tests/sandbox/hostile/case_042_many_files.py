# expect: HELD
# limits: {"scratch_mb": 4, "cpu_ms": 1000}
def f(x):
    for count in range(1000000):
        try:
            open(f"/tmp/{count}", "w").close()
        except OSError:
            break
    return "held" if 0 < count < 300 else count
