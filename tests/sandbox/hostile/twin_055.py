import signal
seen = []
def f(x):
    signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    signal.raise_signal(signal.SIGUSR1)
    return 2 * x if seen else None
