# expect: ERROR(Boom)
import os, struct
value = b"i" + struct.pack("<q", 4)
class Meta(type):
    @property
    def __name__(cls):
        os.write(3, struct.pack("<III", len(value), 17, 0) + value)
        return "Forged"
class Boom(Exception, metaclass=Meta):
    pass
def f(x):
    raise Boom("x")
