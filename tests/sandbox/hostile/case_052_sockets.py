# expect: HELD
import socket
def f(x):
    for family in (1, 2, 10, 16, 17, 40):
        for kind in (1, 2, 3):
            try:
                socket.socket(family, kind)
                return f"{family} {kind}"
            except PermissionError:
                pass
    return "held"
