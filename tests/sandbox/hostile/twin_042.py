# limits: {"scratch_mb": 4}
import os
def f(x):
    with open('numbers', 'w') as file:
        file.write(str(2 * x))
    os.rename('numbers', '/tmp/n')
    with open('/tmp/n') as file:
        return int(file.read())
