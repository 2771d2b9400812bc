# expect: HELD
import os
def f(x):
    return "held" if not os.environ and not os.environb else str(dict(os.environ))
