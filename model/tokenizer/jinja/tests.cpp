#include "base/error.h"
#include "base/python_string.h"
#include "model/tokenizer/jinja/arguments.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/jinja/number.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {

using namespace python;
namespace {

// Of one argument or none; the second value is the argument.
using Check = bool (*)(Context&, const Value&, const Value&);

struct Test {
  bool takes_argument;
  Check holds;
};

bool is_text(const Value& value) { return value.is_string() || value.is_markup(); }

bool iterable(Context&, const Value& value, const Value&) {
  return is_text(value) || value.is_sequence() || value.is_mapping() || value.is_undefined();
}

bool sequence(Context&, const Value& value, const Value&) {
  return is_text(value) || value.is_indexed() || value.is_mapping() || value.is_undefined();
}

bool callable(Context&, const Value& value, const Value&) {
  return value.is_undefined() || (value.is_object() && value.as_object()->callable());
}

// Identity, where Python's does not depend on how it keeps its values.
bool same(Context&, const Value& value, const Value& other) {
  const auto is_constant = [](const Value& v) { return v.is_none() || v.is_bool(); };
  if (is_constant(value) || is_constant(other)) {
    if (value.is_bool() && other.is_bool()) return value.truthy() == other.truthy();
    return value.is_none() && other.is_none();
  }
  if (value.is_int() && other.is_int() && value.as_int() == other.as_int() &&
      value.as_int() >= -5 && value.as_int() <= 256) {
    return true;
  }
  const bool containers = value.depth() > 0 && other.depth() > 0;
  if (value.type_name() != other.type_name() || containers) return value.same(other);
  throw InputError("sameas of two values of the type " + value.type_name() + " is not known here");
}

int64_t remainder(const Value& value, const Value& by) {
  const Value rest = arithmetic("%", value, by);
  return rest.is_float() ? (rest.as_float() == 0   ? 0
                            : rest.as_float() == 1 ? 1
                                                   : 2)
                         : (rest.as_int() == 0   ? 0
                            : rest.as_int() == 1 ? 1
                                                 : 2);
}

const std::map<std::string, Test, std::less<>>& tests() {
  static const auto equals = [](Context& c, const Value& v, const Value& a) {
    return equal(c, v, a);
  };
  static const auto greater = [](Context& c, const Value& v, const Value& a) {
    return less(c, a, v);
  };
  static const auto smaller = [](Context& c, const Value& v, const Value& a) {
    return less(c, v, a);
  };
  static const auto differs = [](Context& c, const Value& v, const Value& a) {
    return !equal(c, v, a);
  };
  static const auto at_least = [](Context& c, const Value& v, const Value& a) {
    return less(c, a, v, true);
  };
  static const auto at_most = [](Context& c, const Value& v, const Value& a) {
    return less(c, v, a, true);
  };
  static const std::map<std::string, Test, std::less<>> table = {
      {"defined",
       {false, [](Context&, const Value& v, const Value&) { return !v.is_undefined(); }}},
      {"undefined",
       {false, [](Context&, const Value& v, const Value&) { return v.is_undefined(); }}},
      {"none", {false, [](Context&, const Value& v, const Value&) { return v.is_none(); }}},
      {"string", {false, [](Context&, const Value& v, const Value&) { return is_text(v); }}},
      {"mapping", {false, [](Context&, const Value& v, const Value&) { return v.is_mapping(); }}},
      {"number", {false, [](Context&, const Value& v, const Value&) { return v.is_number(); }}},
      {"integer", {false, [](Context&, const Value& v, const Value&) { return v.is_int(); }}},
      {"float", {false, [](Context&, const Value& v, const Value&) { return v.is_float(); }}},
      {"boolean", {false, [](Context&, const Value& v, const Value&) { return v.is_bool(); }}},
      {"true",
       {false, [](Context&, const Value& v, const Value&) { return v.is_bool() && v.truthy(); }}},
      {"false",
       {false, [](Context&, const Value& v, const Value&) { return v.is_bool() && !v.truthy(); }}},
      {"callable", {false, callable}},
      {"iterable", {false, iterable}},
      {"sequence", {false, sequence}},
      {"lower",
       {false, [](Context& c, const Value& v,
                  const Value&) { return is_class(to_text(c, v), TextClass::kLower); }}},
      {"upper",
       {false, [](Context& c, const Value& v,
                  const Value&) { return is_class(to_text(c, v), TextClass::kUpper); }}},
      {"odd", {false, [](Context&, const Value& v, const Value&) { return remainder(v, 2) == 1; }}},
      {"even",
       {false, [](Context&, const Value& v, const Value&) { return remainder(v, 2) == 0; }}},
      {"divisibleby",
       {true, [](Context&, const Value& v, const Value& a) { return remainder(v, a) == 0; }}},
      {"in", {true, [](Context& c, const Value& v, const Value& a) { return contains(c, a, v); }}},
      {"sameas", {true, same}},
      {"eq", {true, equals}},
      {"equalto", {true, equals}},
      {"==", {true, equals}},
      {"ne", {true, differs}},
      {"!=", {true, differs}},
      {"lt", {true, smaller}},
      {"lessthan", {true, smaller}},
      {"<", {true, smaller}},
      {"gt", {true, greater}},
      {"greaterthan", {true, greater}},
      {">", {true, greater}},
      {"le", {true, at_most}},
      {"<=", {true, at_most}},
      {"ge", {true, at_least}},
      {">=", {true, at_least}},
  };
  return table;
}

}  // namespace

bool apply_test(Context& context, const std::string& name, const Value& value,
                const Arguments& arguments) {
  context.step();
  const auto found = tests().find(name);
  if (found == tests().end()) throw InputError("the test \"" + name + "\" is unknown");
  const Test& test = found->second;
  const size_t expected = test.takes_argument ? 1 : 0;
  if (arguments.positional.size() != expected || !arguments.named.empty()) {
    throw InputError("the test \"" + name + "\" takes " + std::to_string(expected) + " arguments");
  }
  return test.holds(context, value, test.takes_argument ? arguments.positional[0] : Value());
}

}  // namespace weft::jinja
