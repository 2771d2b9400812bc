# expect: WRONG
import json, os, pickle, struct
json.dumps = pickle.dumps = struct.pack = lambda *a, **k: b"4"
os.write = os._exit = lambda *a: None
def f(x):
    return 5
