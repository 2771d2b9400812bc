import socket
def f(x):
    left, right = socket.socketpair()
    left.sendall(b'x' * 2 * x)
    return len(right.recv(100))
