/// Values of the template language: Python's, as far as chat templates use them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"

namespace weft::jinja {

class Value;

using List = std::vector<Value>;
using Dict = std::vector<std::pair<std::string, Value>>;  ///< in order of insertion

/// Arguments of a call.
struct Arguments {
  std::vector<Value> positional;
  Dict named;
};

using Function = std::function<Value(const Arguments&)>;

/// A variable that is not there; `name` is for messages.
struct Undefined {
  std::string name;
};

struct None {};

/// Lists, dicts and namespaces are shared by reference, as in Python.
class Value {
 public:
  using Variant =
      std::variant<Undefined, None, bool, int64_t, double, std::string, std::shared_ptr<List>,
                   std::shared_ptr<Dict>, std::shared_ptr<Function>>;

  Value() : data_(Undefined{}) {}
  Value(Undefined v) : data_(std::move(v)) {}
  Value(None v) : data_(v) {}
  Value(bool v) : data_(v) {}
  Value(int64_t v) : data_(v) {}
  Value(int v) : data_(int64_t{v}) {}
  Value(size_t v) : data_(static_cast<int64_t>(v)) {}
  Value(double v) : data_(v) {}
  Value(std::string v) : data_(std::move(v)) {}
  Value(const char* v) : data_(std::string(v)) {}
  Value(List v) : data_(std::make_shared<List>(std::move(v))) {}
  Value(Dict v) : data_(std::make_shared<Dict>(std::move(v))) {}
  Value(Function v) : data_(std::make_shared<Function>(std::move(v))) {}

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  bool is_int() const { return std::holds_alternative<int64_t>(data_); }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_bool() || is_int() || is_float(); }
  bool is_string() const { return std::holds_alternative<std::string>(data_); }
  bool is_list() const { return std::holds_alternative<std::shared_ptr<List>>(data_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<Dict>>(data_); }
  bool is_function() const { return std::holds_alternative<std::shared_ptr<Function>>(data_); }

  /// Each throws InputError naming expected and got when the value is of another type. as_int
  /// takes a bool, as_float any number.
  int64_t as_int() const;
  double as_float() const;
  const std::string& as_string() const;
  List& as_list() const;
  Dict& as_dict() const;
  const Function& as_function() const;

  /// Python's truth; an undefined value is false.
  bool truthy() const;

  /// "string", "list", "undefined variable x", ... for messages.
  std::string type_name() const;

 private:
  Variant data_;
};

/// Text as `{{ value }}` prints it: Python's str(), nothing for an undefined value.
std::string to_text(const Value& value);

/// Python's repr(), as it appears inside a printed list.
std::string to_repr(const Value& value);

/// Python's ==; true == 1 == 1.0.
bool equal(const Value& a, const Value& b);

/// Python's <. Throws InputError for values that have no order.
bool less(const Value& a, const Value& b);

/// Python's json.dumps(ensure_ascii=False) with `indent` spaces; -1 for one line with ", " and ":
/// ".
std::string to_json(const Value& value, int indent);

/// nullptr when the dict has no such key.
const Value* find(const Dict& dict, const std::string& key);
void assign(Dict& dict, const std::string& key, Value value);

Value from_json(const Json& json);

/// Number of characters, items or pairs. Throws InputError for other types.
int64_t length(const Value& value);

/// Items of a list, keys of a dict, characters of a string. Throws InputError for other types.
List items_of(const Value& value);

}  // namespace weft::jinja
