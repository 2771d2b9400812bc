# expect: SIGNAL(11)|MEMORY|TIME_CPU|ERROR(RecursionError)
# limits: {"cpu_ms": 2000, "memory_mb": 64}
import sys
sys.setrecursionlimit(10 ** 9)
class R:
    def __repr__(self):
        return repr([self, R()])
def f(x):
    return repr(R())
