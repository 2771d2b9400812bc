# expect: HELD
# limits: {"scratch_mb": 4}
import json, os
def f(x):
    marker = "@MARKER@"
    os.symlink(marker, "/tmp/link")
    os.symlink("/proc/1/root" + marker, "/tmp/link2")
    os.symlink("../../../.." + marker, "/tmp/link3")
    attempts = [lambda path=path, mode=mode: open(path, mode)
                for path in (marker, "/tmp/link", "/tmp/link2", "/tmp/link3") for mode in ("r", "a")]
    attempts += [lambda: os.link(json.__file__, "/tmp/hard"), lambda: os.rename(json.__file__, "/tmp/moved"),
                 lambda: os.rename("/tmp", "/other"), lambda: os.rmdir("/tmp"),
                 lambda: os.symlink("/", "/tmp2"), lambda: os.mknod("/tmp/device", 0o60600, 0x800),
                 lambda: os.truncate("/tmp/link", 0), lambda: os.chmod("/tmp/link", 0o777),
                 lambda: os.chmod(json.__file__, 0o777)]
    for number, attempt in enumerate(attempts):
        try:
            attempt()
            return f"attempt {number}"
        except OSError:
            pass
    return "held"
