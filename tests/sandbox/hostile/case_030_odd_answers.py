# driven: HostileDriven.Case030OddAnswersAreDecodedOrFailed
def f(name):
    return {"digits": 1 << 3321928, "surrogate": "\ud800x", "nul": "a\0b", "many": "\0" * 100000,
            "key": {"\udfff": 1}, "bytes": bytes(range(256)), "minus": -(1 << 3321928)}[name]
