import threading
def f(x):
    box = []
    thread = threading.Thread(target=lambda: box.append(2 * x))
    thread.start()
    thread.join()
    return box[0]
