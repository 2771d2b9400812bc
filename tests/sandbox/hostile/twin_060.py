import mmap
def f(x):
    with mmap.mmap(-1, 4096) as page:
        page[0] = 2 * x
        return page[0]
