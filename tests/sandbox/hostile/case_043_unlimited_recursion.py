# expect: MEMORY|SIGNAL(11)|ERROR(SystemError)|TIME_CPU
# limits: {"cpu_ms": 2000, "memory_mb": 64}
import sys
sys.setrecursionlimit(10 ** 9)
def f(x):
    return f(x)
