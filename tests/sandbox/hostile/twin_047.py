import json, os
def f(x):
    return 2 * x if os.path.exists(json.__file__) else None
