import socket
def f(x):
    left, right = socket.socketpair()
    left.send(bytes([2 * x]))
    return right.recv(1)[0]
