# expect: HELD
# limits: {"cpu_ms": 5000}
# peak_mb: 330
import threading
def f(x):
    held, failed = [], 0
    gate = threading.Event()
    def fill(depth):
        return fill_c(depth - 1) if depth else gate.wait(10)
    fill_c = __import__("functools").cache(fill)
    threading.stack_size(128 << 20)
    for _ in range(200):
        try:
            thread = threading.Thread(target=fill, args=(300,), daemon=True)
            thread.start()
            held.append(thread)
        except RuntimeError:
            failed += 1
    blocks = []
    try:
        while len(blocks) < 1000:
            blocks.append(bytearray(1 << 20))
    except MemoryError:
        pass
    gate.set()
    return "held" if len(blocks) < 256 and failed else (len(blocks), failed)
