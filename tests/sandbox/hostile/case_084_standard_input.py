# driven: HostileDriven.Case084StandardInputCannotBeChanged
import os
def attempts():
    for path in ("/dev/stdin", "link"):
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND):
            yield lambda: os.open(path, flags)
        yield lambda: os.truncate(path, 0)
        yield lambda: os.chmod(path, 0o777)
        yield lambda: os.utime(path, (0, 0))
    yield lambda: os.ftruncate(0, 0)
    yield lambda: os.fchmod(0, 0o777)
    yield lambda: os.write(0, b"x")
    yield lambda: os.unlink("/dev/stdin")
    yield lambda: os.rename("/dev/stdin", "taken")
    yield lambda: os.link("/dev/stdin", "hard")
    yield lambda: os.symlink("/", "/dev/stdin")
def main():
    os.symlink("/dev/stdin", "link")
    for number, attempt in enumerate(attempts()):
        try:
            attempt()
            return f"attempt {number}"
        except OSError:
            pass
    size = os.fstat(0).st_size
    if size != os.stat("/dev/stdin").st_size or len(os.listdir(".")) != 1:
        return "another file"
    written = 0
    try:
        with open("huge", "wb", buffering=0) as file:
            while written < 1 << 30:
                written += file.write(b"x" * 65536)
    except OSError:
        pass
    whole = open("/dev/stdin").read() == "i" * size and open(0).read() == "i" * size
    return "held" if whole and written <= 16 << 20 else (size, written)
print(main())
