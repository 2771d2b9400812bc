# expect: HELD
import errno, socket
def f(x):
    for address in ("\0weft", "/dev/log", "/tmp/socket"):
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        pair[0].send(b"x")
        if pair[1].recv(1) != b"x":
            return "a pair does not work"
        try:
            pair[0].sendto(b"x", address)
            return "sent to " + address
        except OSError as error:
            if error.errno != errno.EPERM:
                return f"{address}: {error}"
    return "held"
