# expect: HELD
import ctypes, os, select, socket
def f(x):
    libc = ctypes.CDLL(None)
    makers = (os.pipe, socket.socketpair, select.epoll, lambda: libc.timerfd_create(1, 0), lambda: os.eventfd(0))
    kept, total = [], 0
    for make in makers * 1000:
        try:
            made = make()
        except OSError:
            continue
        kept.append(made)
        for end in made if isinstance(made, tuple) else ():
            number = end if isinstance(end, int) else end.fileno()
            os.set_blocking(number, False)
            try:
                while True:
                    total += os.write(number, b"x" * 65536)
            except OSError:
                pass
    return "held" if total < 64 << 20 and len(kept) < 1100 else total
