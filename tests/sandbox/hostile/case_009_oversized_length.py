# expect: PROTOCOL
import os, struct
def f(x):
    os.write(3, struct.pack("<III", 1 << 30, 17, 0))
    while True:  # to TIME_CPU, if the frame did not end the job
        pass
