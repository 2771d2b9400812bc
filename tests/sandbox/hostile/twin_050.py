# limits: {"scratch_mb": 4}
import os
def f(x):
    with open('a', 'w') as file:
        file.write(str(2 * x))
    os.link('a', 'b')
    os.symlink('b', 'c')
    with open('c') as file:
        answer = int(file.read())
    for name in 'abc':
        os.unlink(name)
    return answer
