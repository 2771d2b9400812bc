import contextlib, os, sys
def f(x):
    with open("/dev/null", "w") as nowhere, contextlib.redirect_stdout(nowhere):
        print("x" * x)
    with open(os.devnull) as nowhere:
        return 2 * x + len(nowhere.read())
