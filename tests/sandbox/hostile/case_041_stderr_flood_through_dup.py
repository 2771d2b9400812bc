# expect: OUTPUT
import os
def f(x):
    fd = os.dup(2)
    while True:
        os.write(fd, b"x" * 10000)
