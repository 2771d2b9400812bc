# expect: HELD
import os
def f(x):
    for path in ("/etc/passwd", "/etc/shadow", "/root", "/home", "/tmp/x", "/sys", "/var", "/boot",
                 "/usr/bin/env", "/dev/sda", "/dev/mem", "/dev/shm"):
        try:
            os.stat(path)
            return path
        except OSError:
            pass
    return "held" if sorted(os.listdir("/")) == ["dev", "lib", "tmp", "usr"] and not os.listdir("/tmp") else str(os.listdir("/"))
