# expect: HELD
import ctypes, mmap, os
def f(x):
    open("mine", "w").close()
    os.symlink("/dev/null", "link")
    attempts = [lambda: os.unlink("/dev/null"), lambda: os.rename("mine", "/dev/null"),
                lambda: os.rename("/dev/null", "taken"), lambda: os.link("/dev/null", "hard"),
                lambda: os.symlink("mine", "/dev/null"), lambda: os.symlink("mine", "/dev/null2"),
                lambda: os.chmod("/dev/null", 0o777), lambda: os.chown("/dev/null", 65534, 65534),
                lambda: os.mknod("null", 0o20666, os.makedev(1, 3)), lambda: os.utime("/dev/null", (0, 0)),
                lambda: open("/dev/zero", "w"), lambda: open("/dev/urandom", "wb").write(b"seed"),
                lambda: os.truncate("/dev/null", 5), lambda: open("/dev/null/x", "w"),
                lambda: mmap.mmap(os.open("/dev/null", os.O_RDWR), 4096), lambda: os.rmdir("/dev")]
    for number, attempt in enumerate(attempts):
        try:
            attempt()
            return f"attempt {number}"
        except (OSError, ValueError):
            pass
    with open("/dev/null", "r+b", buffering=0) as device:
        device.write(b"x" * (1 << 20))
        kept = device.read()
    with open("link", "ab") as device:
        device.write(b"x")
    if ctypes.CDLL(None).ioctl(os.open("/dev/null", os.O_RDWR), 0x1234) != -1:
        return "ioctl"
    return "held" if kept == b"" and os.path.getsize("/dev/null") == 0 else "kept"
