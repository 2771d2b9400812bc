# expect: HELD
# Pages that are merged with another job's tell by the time of a write what it holds.
import mmap


def f(x):
    area = mmap.mmap(-1, 1 << 20)
    for advice in (12, 100, 101, 9):  # MERGEABLE, HWPOISON, SOFT_OFFLINE, REMOVE
        try:
            area.madvise(advice)
        except PermissionError:
            continue
        if advice == 12:
            return "merged"
    area.madvise(4)
    return "held"
