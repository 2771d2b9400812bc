import threading
items = []
def f(x):
    thread = threading.Thread(target=items.append, args=(x,))
    thread.start()
    thread.join()
    return items.pop() + x
