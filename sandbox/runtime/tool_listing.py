

def weft_list_tools_():
    """(name, signature, docstring) of the functions that workflows may call; stands behind a user's
    file, in its namespace."""
    import builtins
    import inspect

    own = {name: value for name, value in globals().items()
           if inspect.isfunction(value) and value.__globals__ is globals()
           and not name.startswith("_") and name != "weft_list_tools_"}
    if "TOOLS" in globals():
        names = [each if isinstance(each, str) else each.__name__ for each in TOOLS]
    else:
        names = list(own)
    listed = []
    for name in names:
        if name not in own:
            raise NameError(f"TOOLS names {name}, which is no public function of the file")
        if hasattr(builtins, name) or not name.isidentifier():
            raise NameError(f"{name} is a name of Python's own")
        if inspect.iscoroutinefunction(own[name]) or inspect.isgeneratorfunction(own[name]):
            raise TypeError(f"{name} is a coroutine or generator, expected a plain function")
        listed.append((name, str(inspect.signature(own[name])),
                       " ".join((inspect.getdoc(own[name]) or "").split())))
    return listed
