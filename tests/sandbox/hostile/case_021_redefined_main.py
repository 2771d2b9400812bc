# expect: WRONG
import sys
class Fake:
    def __getattr__(self, name):
        return lambda *a, **k: 4
for name in ("__main__", "candidate", "_weft_helpers"):
    sys.modules[name] = Fake()
def f(x):
    return 5
