# expect: UNSERIALISABLE
class Equal:
    def __eq__(self, other):
        return True
    def __hash__(self):
        return 1
def f(x):
    return {Equal(): [(Equal(),)]}
