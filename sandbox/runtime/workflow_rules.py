"""What a workflow may not hold, by its syntax tree. The text is never run."""

import ast
import sys

# Running text as code, and reaching attributes by a text.
_BY_TEXT = {"exec", "eval", "compile", "__import__", "getattr", "setattr", "delattr", "vars",
            "globals", "locals", "breakpoint"}
# The same behind an attribute: of a module, or of a frame, a class or a formatter.
_ATTRIBUTES = _BY_TEXT | {
    "attrgetter", "methodcaller", "import_module", "getattr_static", "get_type_hints", "ForwardRef",
    "Formatter", "get_field", "mro", "gi_frame", "cr_frame", "ag_frame", "tb_frame", "f_back",
    "f_builtins", "f_globals", "f_locals", "gi_code", "cr_code", "ag_code", "co_code"}
_CATCH_ALL = {"Exception", "BaseException"}
_EXITS = {"__exit__", "__aexit__"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = _FUNCTIONS + (ast.Lambda, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# What may give a value another name.
_KEEPERS = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.arguments, ast.keyword, ast.List,
            ast.Dict, ast.Return, ast.Lambda)
# Named like other modules, which they are not.
_OWN = {("random", "random"), ("collections", "abc")}
_EVERY = "a handler catches every exception"
_CHECKS_CLASS = {"isinstance", "issubclass"}


def _is_dunder(name):
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def _is_named(node, names):
    return isinstance(node, ast.Name) and node.id in names


def _list(body):
    return body if isinstance(body, list) else [body]


def _own_statements(body, leave=_SCOPES):
    """Every node below `body` that lies in no other scope (or other kind of `leave`)."""
    stack = list(body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, leave):
            stack.extend(ast.iter_child_nodes(node))


class _Rules:
    def __init__(self, tree):
        self.found = set()  # (line, what)
        self.reached = set()  # (module, line): modules that are attributes of imported ones
        self.parents = {}
        self.modules = {}  # name -> module that it stands for
        self.methods, self.classes = set(), set()
        self.locals = {}  # function, lambda or comprehension -> names that it binds
        self.assigned = {}  # name -> what it is assigned, None where that is not an expression
        self.annotations = set()  # ids of the nodes within
        self.re_compile_line = None  # of a top-level `from re import compile`
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            self._learn(node)
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "re":
                if any((each.asname or each.name) == "compile" == each.name for each in node.names):
                    self.re_compile_line = self.re_compile_line or node.lineno
        for node in ast.walk(tree):
            visit = getattr(self, "_" + type(node).__name__, None)
            if visit:
                visit(node)

    def _learn(self, node):
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.modules[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0])
        elif isinstance(node, ast.ClassDef):
            self.classes.add(node.name)
            self.methods.update(each.name for each in node.body if isinstance(each, _FUNCTIONS))
        elif isinstance(node, ast.arg):
            self.assigned.setdefault(node.arg, []).append(None)
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value)
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            self._assign(node.target, node.value)
        elif isinstance(node, (ast.AugAssign, ast.For, ast.AsyncFor, ast.comprehension)):
            self._assign(node.target, None)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._assign(node.optional_vars, None)
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(annotation, ast.AST):
                self.annotations.update(id(each) for each in ast.walk(annotation))

    def _assign(self, target, value):
        if isinstance(target, ast.Name):
            self.assigned.setdefault(target.id, []).append(value)
            return
        for each in ast.walk(target):
            if isinstance(each, ast.Name):
                self.assigned.setdefault(each.id, []).append(None)

    def _refuse(self, node, what):
        self.found.add((node.lineno, what))

    def _locals_of(self, scope):
        if scope not in self.locals:
            names, banned = set(), set()
            if isinstance(scope, _COMPREHENSIONS):
                body = [each.target for each in scope.generators]
            else:
                body = _list(scope.body)
                names.update(each.arg for each in ast.walk(scope.args) if isinstance(each, ast.arg))
            for each in _own_statements(body):
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                    names.add(each.id)
                elif isinstance(each, ast.Global):
                    banned.update(each.names)
            self.locals[scope] = names - banned
        return self.locals[scope]

    def _is_local(self, node):
        """Whether a function around the name binds it: then it is never the builtin."""
        child, scope = node, self.parents[node]
        while not isinstance(scope, ast.Module):
            is_function = isinstance(scope, _FUNCTIONS + (ast.Lambda,))
            # Defaults and decorators belong to the scope outside.
            within = is_function and child in _list(scope.body)
            if (within or isinstance(scope, _COMPREHENSIONS)) and node.id in self._locals_of(scope):
                return True
            child, scope = scope, self.parents[scope]
        return False

    def _module_of(self, node):
        """The module that an expression names, or None: `json`, `asyncio.queues`."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self._module_of(node.value)
            if base and node.attr in sys.stdlib_module_names and base != node.attr:
                return node.attr
            return base + "." + node.attr if base and node.attr.islower() else None
        return None

    # Names

    def _Name(self, node):
        name = node.id
        if isinstance(node.ctx, ast.Store):
            if name in _EXITS:
                self._refuse(node, _EVERY)
            elif name in ("__builtins__", "__class__"):
                self._refuse(node, f"{name} is not allowed")
            return
        parent = self.parents[node]
        if self._is_local(node):
            return
        if name in _BY_TEXT:
            imported = self.re_compile_line
            if name != "compile" or not imported or node.lineno <= imported:
                self._refuse(node, f"{name} is not allowed")
        elif _is_dunder(name) and name != "__name__":
            self._refuse(node, f"{name} is not allowed")
        elif name in self.modules:
            if not isinstance(parent, ast.Attribute):
                self._refuse(node, f"module {name} as a value is not allowed")
        elif name == "type" and isinstance(parent, _KEEPERS):
            self._refuse(node, "another name for type is not allowed")
        elif name in _CATCH_ALL and not self._may_name_catch_all(node, parent):
            self._refuse(node, f"{name} as a value is not allowed: {_EVERY} through it")

    def _may_name_catch_all(self, node, parent):
        if id(node) in self.annotations:
            return True
        if isinstance(parent, ast.Tuple):
            node, parent = parent, self.parents[parent]
        if isinstance(parent, ast.Call):
            return parent.func is node or _is_named(parent.func, _CHECKS_CLASS)
        if isinstance(parent, ast.ClassDef):
            return node in parent.bases
        return isinstance(parent, (ast.Raise, ast.ExceptHandler, ast.Compare, ast.MatchClass))

    def _Attribute(self, node):
        name, module = node.attr, self._module_of(node.value)
        if _is_dunder(name):
            is_super = isinstance(node.value, ast.Call) and _is_named(node.value.func, {"super"})
            if name != "__init__" or not is_super:
                self._refuse(node, f"access to attribute {name} is not allowed")
        elif module:
            if name.startswith("_"):
                self._refuse(node, f"{module}.{name} is not allowed: the name is private")
            elif name in _ATTRIBUTES and (module, name) != ("re", "compile"):
                self._refuse(node, f"{module}.{name} is not allowed")
            elif name in sys.stdlib_module_names and (module, name) not in _OWN:
                self.reached.add((name, node.lineno))
        elif name in _ATTRIBUTES and name not in self.methods and not _is_named(
                node.value, {"self", "cls"}):
            self._refuse(node, f"attribute {name} is not allowed")

    def _ImportFrom(self, node):
        for alias in node.names:
            name, module = alias.name, node.module or ""
            if name in _CATCH_ALL:
                self._refuse(node, f"import of {name} is not allowed: {_EVERY} through it")
            elif name in _ATTRIBUTES and (module, name) != ("re", "compile"):
                self._refuse(node, f"import of {module}.{name} is not allowed")
            elif name.startswith("_"):
                self._refuse(node, f"import of {module}.{name} is not allowed: the name is private")
            elif name in sys.stdlib_module_names and (module, name) not in _OWN:
                self.reached.add((name, node.lineno))

    # Classes made by calls

    def _Call(self, node):
        if _is_named(node.func, {"type"}) and not self._is_local(node.func):
            starred = any(isinstance(each, ast.Starred) for each in node.args)
            if len(node.args) != 1 or node.keywords or starred:
                self._refuse(node, "a class made by type() is not allowed")

    def _ClassDef(self, node):
        if any(each.arg in ("metaclass", None) for each in node.keywords) or any(
                _is_named(each, {"type"}) for each in node.bases):
            self._refuse(node, "a metaclass is not allowed")
        for method in node.body:
            if isinstance(method, _FUNCTIONS) and method.name in _EXITS:
                self._check_exit(method)

    # Handlers

    def _check_exit(self, method):
        for each in _own_statements(method.body):
            if isinstance(each, ast.Return) and each.value is not None and not (
                    isinstance(each.value, ast.Constant) and not each.value.value):
                self._refuse(each, f"{_EVERY}: {method.name} may return a true value")

    def _ExceptHandler(self, node):
        if node.type is None:
            return self._refuse(node, _EVERY)
        reason = self._why_broad(node.type, 0)
        if reason:
            self._refuse(node, reason)

    def _why_broad(self, handled, depth):
        unnamed = "a handler must name its exceptions"
        if depth > 8:
            return unnamed
        if isinstance(handled, ast.Tuple):
            reasons = [self._why_broad(each, depth + 1) for each in handled.elts]
            return next((each for each in reasons if each), None)
        if isinstance(handled, ast.Attribute):
            if handled.attr in _CATCH_ALL:
                return _EVERY
            known = self._module_of(handled.value) or _is_named(handled.value, self.classes)
            return None if known else unnamed
        if not isinstance(handled, ast.Name):
            return unnamed
        if handled.id in _CATCH_ALL:
            return _EVERY
        for value in self.assigned.get(handled.id, []):
            reason = unnamed if value is None else self._why_broad(value, depth + 1)
            if reason:
                return reason
        return None

    def _Try(self, node):
        for each in _own_statements(node.finalbody):
            if isinstance(each, ast.Return):
                self._refuse(each, f"{_EVERY}: return in finally")
        for each in _own_statements(node.finalbody, leave=_SCOPES + _LOOPS):
            if isinstance(each, (ast.Break, ast.Continue)):
                self._refuse(each, f"{_EVERY}: {type(each).__name__.lower()} in finally")

    _TryStar = _Try

    def _keyword(self, node):
        if node.arg == "return_exceptions" and not (
                isinstance(node.value, ast.Constant) and node.value.value is False):
            self._refuse(node.value, f"{_EVERY}: return_exceptions")

    def _Constant(self, node):
        if node.value == "return_exceptions":
            self._refuse(node, f"{_EVERY}: return_exceptions")


def refusals(tree):
    """([(line, what is not allowed)], [(module reached through another, line)]), by line."""
    rules = _Rules(tree)
    return sorted(rules.found)[:20], sorted(rules.reached, key=lambda each: each[1])[:20]


# How __call__ ends

def _always_leaves(statement):
    """Whether nothing after the statement can run."""
    if isinstance(statement, (ast.Return, ast.Raise)):
        return True
    if isinstance(statement, ast.If):
        return leaves(statement.body) and leaves(statement.orelse)
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return leaves(statement.body)
    if isinstance(statement, (ast.Try, ast.TryStar)):
        handled = all(leaves(each.body) for each in statement.handlers)
        return leaves(statement.finalbody) or handled and (
            leaves(statement.body) or leaves(statement.orelse))
    if isinstance(statement, ast.Match):
        last = statement.cases[-1]
        irrefutable = (isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
                       and last.guard is None)
        return irrefutable and all(leaves(each.body) for each in statement.cases)
    if isinstance(statement, ast.While):
        endless = isinstance(statement.test, ast.Constant) and bool(statement.test.value)
        return endless and not any(
            isinstance(each, ast.Break)
            for each in _own_statements(statement.body, leave=_SCOPES + _LOOPS))
    return False


def leaves(body):
    return any(_always_leaves(each) for each in body)


def workflow_class(tree):
    """Facts of the top-level class Workflow, the last one if there are several."""
    found = [each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == "Workflow"]
    methods = {each.name: each for each in (found[-1].body if found else [])
               if isinstance(each, _FUNCTIONS)}
    init, call = methods.get("__init__"), methods.get("__call__")
    is_async = isinstance(call, ast.AsyncFunctionDef)
    return {
        "has_workflow_class": bool(found),
        "has_async_call": is_async,
        "has_contract_init": init is not None and _takes(init, ["self", "name", "llm_config", "dataset"]),
        "call_returns": is_async and leaves(call.body),
    }


def _takes(function, names):
    args = function.args
    return ([each.arg for each in args.args] == names and not args.posonlyargs
            and not args.kwonlyargs and not args.vararg and not args.kwarg)
