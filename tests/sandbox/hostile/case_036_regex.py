# expect: TIME_CPU
import re
def f(x):
    return re.match(r"(a+)+$", "a" * 60 + "b")
