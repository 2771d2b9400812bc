import json, pickle
def f(x):
    return pickle.loads(pickle.dumps(json.loads(json.dumps(2 * x))))
