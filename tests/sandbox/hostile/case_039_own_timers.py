# expect: TIME_WALL
# limits: {"wall_ms": 600}
import signal, time
def f(x):
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 1000)
    signal.raise_signal(signal.SIGSTOP)
    time.sleep(1000)
