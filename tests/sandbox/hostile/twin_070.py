class Later:
    def __await__(self):
        return iter(())
def f(x):
    return 2 * x if hasattr(Later(), '__await__') else None
