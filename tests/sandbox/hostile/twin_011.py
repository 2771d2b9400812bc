class Meta(type):
    @property
    def title(cls):
        return 'Mine'
class Mine(Exception, metaclass=Meta):
    pass
def f(x):
    try:
        raise Mine
    except Mine:
        return 2 * x
