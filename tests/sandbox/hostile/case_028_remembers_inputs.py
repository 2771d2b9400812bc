# expect: HELD
import builtins, os, sys
def f(x):
    if hasattr(builtins, "seen") or "seen" in sys.modules or "seen" in os.environ:
        return "remembered"
    builtins.seen = sys.modules["seen"] = x
    os.environ["seen"] = "1"
    try:
        open("/tmp/seen", "w").write("1")
    except OSError:
        return "held"
    return "wrote a file"
