# expect: HELD
import sys
def f(x):
    frame = sys._getframe()
    depth = 0
    while frame.f_back:
        frame = frame.f_back
        depth += 1
    return "held" if depth == 0 and set(frame.f_locals) <= {"x", "frame", "depth"} else "frames"
