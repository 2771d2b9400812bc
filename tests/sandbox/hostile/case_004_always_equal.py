# expect: UNSERIALISABLE
class Equal:
    def __eq__(self, other):
        return True
def f(x):
    return Equal()
