# expect: WRONG
import builtins
for name in ("len", "isinstance", "type", "sorted", "all", "any", "exec", "open", "print"):
    setattr(builtins, name, lambda *a, **k: True)
builtins.__import__ = lambda *a, **k: None
builtins.compile = None
def f(x):
    return 5
