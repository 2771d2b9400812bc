# expect: WRONG|UNSERIALISABLE
# runs: 20
import sys, threading
sys.setswitchinterval(1e-6)
shared = {number: [number] for number in range(1000)}
def mutate():
    while True:
        for number in range(1000):
            shared[number + 1000] = shared.pop(number, None)
        for number in range(1000):
            shared[number] = [shared.pop(number + 1000, None)]
            shared[number] = [number]
threading.Thread(target=mutate, daemon=True).start()
def f(x):
    return shared
