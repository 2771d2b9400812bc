# expect: ERROR(SystemExit)
import _sitebuiltins, builtins, site
builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D")
site.setquit()
def f(x):
    quit() if x == 2 else exit(0)
