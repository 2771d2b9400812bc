# expect: WRONG
import atexit, os, struct, threading, time, weakref
value = b"i" + struct.pack("<q", 4)
def report():
    os.write(3, struct.pack("<III", len(value), 17, 0) + value)
class Late:
    def __del__(self):
        report()
keep = Late()
atexit.register(report)
weakref.finalize(keep, report)
def later():
    time.sleep(0.05)
    while True:
        report()
threading.Thread(target=later).start()
def f(x):
    return 5
