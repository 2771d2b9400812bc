# limits: {"scratch_mb": 4}
import os
cache = {}
def f(x):
    if x not in cache:
        cache[x] = 2 * x
    path = f"/tmp/{x}"
    if not os.path.exists(path):
        with open(path, "w") as file:
            file.write(str(cache[x]))
    with open(path) as file:
        return int(file.read())
