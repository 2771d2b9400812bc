# driven: HostileDriven.Case019FindsNoSecretInItsMemory
# Reads every page of heap, stack and libraries for a word that this text does not hold.
import ctypes, os, re
word = b"yranac"[::-1] + rb"-[a-z]+-[0-9a-f]{16}"
libc = ctypes.CDLL(None, use_errno=True)
libc.sbrk.restype = ctypes.c_void_p
reader, writer = os.pipe()

def peek(start, size):
    """Bytes at an address, or None: the kernel, asked to write them, finds what is not there."""
    sent = libc.write(writer, ctypes.c_void_p(start), size)
    return os.read(reader, size) if sent > 0 else None

def regions(around, reach):
    for start in range((around - reach) & -(1 << 15), around + reach, 1 << 15):
        data = peek(start, 1 << 15) if start > 0 else None
        if data is not None and len(data) == 1 << 15:
            yield data
            continue
        for page in range(start, start + (1 << 15), 1 << 12):
            data = peek(page, 1 << 12) if page > 0 else None
            if data:
                yield data

def f(bait):
    found = set()
    heap = libc.sbrk(0)
    stack = ctypes.c_void_p.in_dll(libc, "__libc_stack_end").value
    library = ctypes.cast(libc.getpid, ctypes.c_void_p).value
    for around, reach in ((heap, 40 << 20), (id(bait), 40 << 20), (stack, 16 << 20), (library, 40 << 20)):
        for data in regions(around, reach):
            found.update(re.findall(word, data))
    return sorted(each.decode() for each in found)
