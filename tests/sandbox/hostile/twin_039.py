import signal
rung = []
def f(x):
    signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while not rung:
        signal.pause()
    return 2 * rung.pop() * x
