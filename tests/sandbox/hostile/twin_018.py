import gc
kept = [1, 2, 3]
def f(x):
    return 2 * x if gc.get_referrers(kept) else None
