# expect: HELD
# runs: 3
# limits: {"scratch_mb": 4}
import builtins, os
def f(x):
    if hasattr(builtins, "seen") or os.listdir("/tmp"):
        return "remembered"
    builtins.seen = x
    os.makedirs("/tmp/folder/below")
    for path in ("/tmp/seen", "/tmp/.seen", "/tmp/folder/below/seen"):
        with open(path, "w") as file:
            file.write("1")
    os.symlink("/tmp/seen", "/tmp/link")
    return "held" if len(os.listdir("/tmp")) == 4 else "left no trace to be found"
