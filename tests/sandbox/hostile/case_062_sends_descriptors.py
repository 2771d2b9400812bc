# expect: HELD
import os, socket
def f(x):
    channel = socket.socket(fileno=3)
    for attempt in (lambda: socket.send_fds(channel, [b"x" * 12], [0, 1, 2]),
                    lambda: channel.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, b"x" * 12)]),
                    lambda: channel.shutdown(socket.SHUT_WR), lambda: channel.shutdown(socket.SHUT_RDWR)):
        try:
            attempt()
            return "sent"
        except OSError:
            pass
    channel.detach()
    return "held"
