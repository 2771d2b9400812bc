# expect: HELD
# Urgent bytes, filters, handles of processes: code of the kernel's that no program here needs.
import socket


def refused(action):
    try:
        action()
        return False
    except PermissionError:
        return True


def f(x):
    left, right = socket.socketpair()
    right.send(b"abc")
    flags = [0x01, 0x02, 0x20, 0x40, 0x100, 0x2000]  # OOB, PEEK, TRUNC, DONTWAIT, WAITALL, ERRQUEUE
    for flag in flags:
        if not refused(lambda: left.recv(1, flag)):
            return f"recv {flag}"
    for flag in [0x01, 0x04, 0x80, 0x8000, 0x4000000]:  # OOB, DONTROUTE, EOR, MORE, ZEROCOPY
        if not refused(lambda: left.send(b"x", flag)):
            return f"send {flag}"
    for option in range(1, 90):  # SO_ATTACH_FILTER is 26, SO_PEERPIDFD 77
        if option in (2, 9, 20, 21):  # reuse, keep alive, time limits
            continue
        if not refused(lambda: left.setsockopt(1, option, b"\0" * 16)):
            return f"set {option}"
    for option in (14, 17, 26, 31, 59, 77):  # priority, credentials, filter, security, groups, pidfd
        if not refused(lambda: left.getsockopt(1, option, 64)):
            return f"get {option}"
    if left.recv(3) != b"abc":
        return "lost bytes"
    return "held"
