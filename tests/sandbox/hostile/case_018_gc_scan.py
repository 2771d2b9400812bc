# expect: HELD
import gc
def f(x):
    for each in gc.get_objects():
        if type(each) in (list, tuple, dict) and "he" + "ld" in (each if type(each) is not dict else each.values()):
            if each is not f.__code__.co_consts:
                return "found the expected value"
    return "he" + "ld"
