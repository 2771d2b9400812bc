# expect: PASS
import socket


def f(x):
    left, right = socket.socketpair()
    left.settimeout(5)
    right.setsockopt(1, 2, 1)
    left.sendall(bytes([x]))
    return 2 * right.recv(1)[0]
