# expect: WRONG|UNSERIALISABLE
# runs: 20
import sys, threading
sys.setswitchinterval(1e-6)
shared = [1] * 1000
def mutate():
    while True:
        shared.append(1)
        del shared[500:]
        shared.extend([1] * 600)
threading.Thread(target=mutate, daemon=True).start()
def f(x):
    return shared
