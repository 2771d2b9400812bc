#include <sstream>

#include "data/benchmarks/loaders.h"
#include "data/regex.h"

namespace weft {
namespace {

/// Runs one method of a class as unittest does, its class' set-up and tear-down included, with the
/// candidate under its own name. An answer changes its arguments in another process, unseen here:
/// what may have changed is made unreadable after each call and restored after the test, so that no
/// test that looks at an argument again passes. A test {"methods"} of the row itself asks whether
/// unittest finds those methods and would run all of them.
constexpr const char* kCheck = R"(

def _arguments():
    import collections, decimal, fractions

    class Unreadable:
        __hash__ = object.__hash__

        def refuse(self, *args, **kwargs):
            raise AssertionError("a test reads an argument after the call")

        __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __len__ = refuse
        __iter__ = __contains__ = __getitem__ = __getattr__ = __repr__ = __str__ = refuse
        __format__ = __add__ = __radd__ = __call__ = refuse

    unreadable, kept = [Unreadable() for _ in range(1009)], []
    fixed = (type(None), bool, int, float, complex, str, bytes, range, decimal.Decimal,
             fractions.Fraction, Unreadable)

    def fill_list(value, parts):
        value.extend(parts)

    def fill_dict(value, parts):
        for name, part in parts:
            value[name] = part

    def spoil(value, emptied):
        if isinstance(value, fixed):
            return
        junk, fill = [] if emptied else unreadable, fill_list
        parts = inside = list(value)
        if isinstance(value, bytearray):
            inside, junk = [], [63] * len(junk)
        elif isinstance(value, dict):
            parts, inside, fill = list(value.items()), list(value.values()), fill_dict
            junk = [(one, one) for one in junk]
        elif isinstance(value, set):
            fill = set.update
        elif not isinstance(value, (list, tuple, frozenset, collections.deque)):
            raise TypeError("an argument of a type that may change: " + type(value).__name__)
        for part in inside:
            spoil(part, emptied)
        if isinstance(value, (tuple, frozenset)):
            return
        if isinstance(value, (dict, set)) and ASKS_FOR_ABSENCE:
            raise TypeError("a dict or set is passed, and a test may ask what is not in one")
        kept.append((value, parts, fill))
        value.clear()
        fill(value, junk)

    def restore():
        for value, parts, fill in reversed(kept):
            value.clear()
            fill(value, parts)
        kept.clear()

    return spoil, restore


def _found():
    import types, unittest
    module = types.ModuleType("tests")
    module.__dict__.update(globals())
    suites, found = [unittest.defaultTestLoader.loadTestsFromModule(module)], []
    while suites:
        for case in suites.pop():
            if isinstance(case, unittest.TestSuite):
                suites.append(case)
                continue
            method = getattr(case, case._testMethodName)
            if getattr(case, "__unittest_skip__", False) or any(
                    getattr(method, flag, False)
                    for flag in ("__unittest_skip__", "__unittest_expecting_failure__")):
                return None
            found.append({"class": type(case).__name__, "method": case._testMethodName})
    return found


_OWN_CHECK = "check" in globals()


def check(candidate, test):
    import unittest
    if "methods" in test:
        found = None if _OWN_CHECK else _found()
        key = lambda one: (one["class"], one["method"])
        return found is not None and sorted(found, key=key) == sorted(test["methods"], key=key)
    spoil, restore = _arguments()

    faults = []

    def call(*args, **kwargs):
        try:
            try:
                return candidate(*args, **kwargs)
            finally:
                spoil((args, tuple(kwargs.values())), test.get("emptied", False))
        except CandidateError:
            raise
        except BaseException as fault:  # ours, which no test may take for the answer's
            faults.append(fault)
            raise

    globals()["%NAME%"] = call
    result = unittest.TestResult()
    try:
        unittest.TestSuite([globals()[test["class"]](test["method"])]).run(result)
    finally:
        restore()
    whole = not (faults or result.skipped or result.expectedFailures)
    return result.testsRun == 1 and result.wasSuccessful() and whole
)";

/// What asks for something that is not there, which no unreadable key of a dict or set betrays; and
/// for another object than an argument, which all that crosses processes is.
constexpr const char* kAbsence = R"(NotIn\(|\bnot\s+in\b|\.get\(|\.isdisjoint\(|\.pop\(|\.issu)";
constexpr const char* kIdentity = R"(assertIsNot\(|\bid\(|\bis\s+not\s+(?!None\b)\w+\s*[),])";

std::string check_of(const std::string& source, const std::string& entry_point) {
  std::string text = kCheck;
  constexpr std::string_view kName = "%NAME%";
  text.replace(text.find(kName), kName.size(), entry_point);
  constexpr std::string_view kAsks = "ASKS_FOR_ABSENCE";
  const bool asks = !Regex(kAbsence).find_all(source).empty();
  return text.replace(text.find(kAsks), kAsks.size(), asks ? "True" : "False");
}

// The methods that unittest would run, in the order of the text: they stand as deep as the first
// line of their class. The row's first trial asks unittest itself.
std::vector<Json> methods_of(const std::string& source) {
  static const Regex kClass(R"(^class\s+(\w+)\s*[(:])"), kMethod(R"(^(\s+)def\s+(test\w*)\s*\()"),
      kInside(R"(^(\s+)\S)");
  std::vector<Json> methods;
  std::string name, indent;
  std::istringstream lines(source);
  for (std::string line; std::getline(lines, line);) {
    if (const auto opened = kClass.match(line)) {
      name = opened->at(1);
      indent.clear();
      continue;
    }
    const auto inside = kInside.match(line);
    if (indent.empty() && inside) indent = inside->at(1);
    const auto method = kMethod.match(line);
    if (method && !name.empty() && method->at(1) == indent) {
      methods.push_back({{"class", name}, {"method", method->at(2)}});
    }
  }
  return methods;
}

}  // namespace

BenchmarkRow load_bigcodebench(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.text("task_id");
  parsed.prompt = row.text("complete_prompt");
  parsed.entry_point = row.text("entry_point");
  parsed.setup = before_entry_point(parsed.prompt, parsed.entry_point);
  parsed.meta = row.some({"libs"});
  for (const char* other : {"instruct_prompt", "code_prompt", "doc_struct"}) row.ignore(other);
  const std::string source = row.text("test");
  parsed.tests = methods_of(source);
  if (parsed.tests.empty()) row.fail("expected unittest classes in \"test\", got no test method");
  if (!Regex(kIdentity).find_all(source).empty()) {
    row.fail(
        "a test asks for another object than an argument: every answer's is, across processes");
  }
  parsed.trials.push_back({{{"methods", parsed.tests}},
                           "unittest finds other tests than those that are read, or skips some"});
  for (Json emptied : parsed.tests) {
    const std::string name = emptied["method"];
    emptied["emptied"] = true;
    parsed.trials.push_back({std::move(emptied), name + " looks at an argument after the call"});
  }
  parsed.checker = source + check_of(source, parsed.entry_point);
  parsed.checked_code = parsed.prompt + row.text("canonical_solution");
  return parsed;
}

}  // namespace weft
