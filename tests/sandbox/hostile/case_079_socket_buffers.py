# expect: HELD
# Memory of the kernel's that no limit of the job counts: buffers of socket pairs.
import socket

SOL_SOCKET = 1
GROWING = [7, 8, 32, 33]  # SO_SNDBUF, SO_RCVBUF and their FORCE forms


def f(x):
    held = 0
    pairs = []
    while True:
        try:
            pairs.append(socket.socketpair())
        except OSError:
            break
        for end in pairs[-1]:
            for option in GROWING:
                try:
                    end.setsockopt(SOL_SOCKET, option, 1 << 30)
                    return f"option {option}"
                except PermissionError:
                    pass
            end.setblocking(False)
            try:
                while True:
                    held += end.send(b"x" * 65536)
            except BlockingIOError:
                pass
    return "held" if held < 32 << 20 else f"{held} bytes"
