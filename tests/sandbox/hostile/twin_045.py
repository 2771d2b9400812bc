import os, select, socket
def f(x):
    left, right = socket.socketpair()
    poll = select.epoll()
    poll.register(right, select.EPOLLIN)
    left.send(bytes([2 * x]))
    poll.poll(1)
    answer = right.recv(1)[0]
    for each in (left, right, poll):
        each.close()
    return answer
