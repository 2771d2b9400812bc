# expect: HELD
# runs: 3
import builtins, math, os, sys
def f(x):
    for place in (vars(builtins), sys.modules, os.environ, vars(math)):
        if "seen" in place:
            return "remembered"
    builtins.seen = sys.modules["seen"] = math.seen = x
    os.environ["seen"] = "1"
    if os.path.exists("/tmp/seen"):
        return "remembered by a file"
    for folder in ("/tmp", "/dev/shm", "/var/tmp", ".", "/"):
        try:
            open(folder + "/seen", "w").write("1")
        except OSError:
            continue
        if os.path.realpath(folder) != "/tmp":
            return "wrote a file"
    return "held"
