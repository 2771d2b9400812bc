# expect: HELD
import ctypes, mmap, os, shutil, _ctypes
def f(x):
    with open("script", "w") as file:
        file.write("#!/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2\n")
    shutil.copyfile(_ctypes.__file__, "library.so")
    for name in ("script", "library.so"):
        os.chmod(name, 0o755)
    file = os.open("library.so", os.O_RDONLY)
    for attempt in (lambda: os.execv("/tmp/script", ["x"]), lambda: os.posix_spawn("/tmp/script", ["x"], {}),
                    lambda: os.chmod("script", 0o4755) or os.execv("script", ["x"]),
                    lambda: ctypes.CDLL("/tmp/library.so"),
                    lambda: mmap.mmap(file, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)):
        try:
            attempt()
            return "ran"
        except OSError:
            pass
    return "held"
