# driven: HostileDriven.Case064TwoJobsAtOnceDoNotFindEachOther
import ctypes, json, mmap, os, socket, time
libc = ctypes.CDLL(None, use_errno=True)

def attempt(action):
    try:
        return action() not in (None, False)
    except OSError:
        return False

def tries():
    yield "abstract socket", lambda: socket.socket(socket.AF_UNIX)
    yield "shared memory", lambda: libc.syscall(29, 4242, 4096, 0o1666) != -1
    yield "message queue", lambda: libc.syscall(68, 4242, 0o1666) != -1
    yield "shm_open", lambda: open("/dev/shm/meet", "w")
    yield "file lock", lambda: libc.flock(os.open(json.__file__, os.O_RDONLY), 2) == 0
    yield "record lock", lambda: libc.fcntl(os.open(json.__file__, os.O_RDONLY), 6, b"\0" * 64) == 0
    for pid in range(1, 40):
        yield f"signal to {pid}", lambda: pid != os.getpid() and os.kill(pid, 0) is None

def wake(page, seconds):
    """Wakes waiters on a futex in a file that every jail maps; how many there were."""
    woken, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        result = libc.syscall(202, ctypes.c_void_p(page), 1, 1000, None, None, 0)
        woken += max(result, 0)
        time.sleep(0.002)
    return woken

def wait(page, seconds):
    class Timespec(ctypes.Structure):
        _fields_ = [("s", ctypes.c_long), ("ns", ctypes.c_long)]
    value = ctypes.c_uint.from_address(page).value
    result = libc.syscall(202, ctypes.c_void_p(page), 0, value, ctypes.byref(Timespec(seconds, 0)), None, 0)
    return 1 if result == 0 else 0

def others_files(role):
    """Leaves a file for the other in its folder, if there is one; asked again, what others left."""
    try:
        open("/tmp/" + role, "w").close()
    except OSError:
        pass
    return [name for name in os.listdir("/tmp") if name != role]

def f(role):
    others_files(role)
    holes = [name for name, action in tries() if attempt(action)]
    file = os.open(json.__file__, os.O_RDONLY)
    libc.mmap.restype = ctypes.c_void_p
    page = libc.mmap(None, 4096, 1, 1, file, 0)
    met = wait(page, 2) if role == "wait" else wake(page, 2)
    return holes + ["futex"] * (met > 0) + others_files(role)
