# expect: HELD
import json, os
def f(x):
    folder = os.path.dirname(json.__file__)
    for path in (folder + "/x.py", folder + "/__pycache__/x.pyc", "/x", "/dev/x", "/usr/x", "/lib/x"):
        for attempt in (lambda: open(path, "w"), lambda: os.mkdir(path), lambda: os.symlink("/", path)):
            try:
                attempt()
                return path
            except OSError:
                pass
    return "held"
