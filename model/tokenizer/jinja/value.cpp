#include "model/tokenizer/jinja/value.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "model/tokenizer/unicode.h"

namespace weft::jinja {
namespace {

[[noreturn]] void wrong_type(const char* expected, const Value& got) {
  throw InputError(std::string("chat template: expected ") + expected + ", got " + got.type_name());
}

std::string float_text(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::isnan(value)) return "nan";
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// A quotation mark is escaped only when the other one is in the text too, as Python does.
std::string quoted(const std::string& text) {
  const bool has_single = text.find('\'') != std::string::npos;
  const bool has_double = text.find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      if (c == '\\' || c == quote) out += '\\';
      out += c;
    }
  }
  return out + quote;
}

void write_json(const Value& value, int indent, int depth, std::string& out) {
  const bool lines = indent >= 0;
  const auto new_line = [&](int level) {
    if (lines) out += "\n" + std::string(static_cast<size_t>(indent * level), ' ');
  };
  const auto between = [&] { out += lines ? "," : ", "; };
  if (value.is_list() && !value.as_list().empty()) {
    out += '[';
    for (size_t i = 0; i < value.as_list().size(); ++i) {
      if (i > 0) between();
      new_line(depth + 1);
      write_json(value.as_list()[i], indent, depth + 1, out);
    }
    new_line(depth);
    out += ']';
  } else if (value.is_dict() && !value.as_dict().empty()) {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : value.as_dict()) {
      if (!first) between();
      first = false;
      new_line(depth + 1);
      out += Json(key).dump() + ": ";
      write_json(item, indent, depth + 1, out);
    }
    new_line(depth);
    out += '}';
  } else if (value.is_string()) {
    out += dump_json(Json(value.as_string()));
  } else if (value.is_none()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.truthy() ? "true" : "false";
  } else if (value.is_number()) {
    out += to_text(value);
  } else if (value.is_list()) {
    out += "[]";
  } else if (value.is_dict()) {
    out += "{}";
  } else {
    wrong_type("a value for tojson", value);
  }
}

}  // namespace

int64_t Value::as_int() const {
  if (is_bool()) return std::get<bool>(data_);
  if (!is_int()) wrong_type("an integer", *this);
  return std::get<int64_t>(data_);
}

double Value::as_float() const {
  if (is_float()) return std::get<double>(data_);
  return static_cast<double>(as_int());
}

const std::string& Value::as_string() const {
  if (!is_string()) wrong_type("a string", *this);
  return std::get<std::string>(data_);
}

List& Value::as_list() const {
  if (!is_list()) wrong_type("a list", *this);
  return *std::get<std::shared_ptr<List>>(data_);
}

Dict& Value::as_dict() const {
  if (!is_dict()) wrong_type("a mapping", *this);
  return *std::get<std::shared_ptr<Dict>>(data_);
}

const Function& Value::as_function() const {
  if (!is_function()) wrong_type("something to call", *this);
  return *std::get<std::shared_ptr<Function>>(data_);
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (is_bool()) return std::get<bool>(data_);
  if (is_int()) return std::get<int64_t>(data_) != 0;
  if (is_float()) return std::get<double>(data_) != 0;
  if (is_string()) return !as_string().empty();
  if (is_list()) return !as_list().empty();
  if (is_dict()) return !as_dict().empty();
  return true;
}

std::string Value::type_name() const {
  static const char* const kNames[] = {"",       "none", "boolean", "integer", "float",
                                       "string", "list", "mapping", "function"};
  if (is_undefined()) return "undefined variable " + std::get<Undefined>(data_).name;
  return kNames[data_.index()];
}

std::string to_text(const Value& value) {
  if (value.is_undefined()) return {};
  return value.is_string() ? value.as_string() : to_repr(value);
}

std::string to_repr(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.truthy() ? "True" : "False";
  if (value.is_int()) return std::to_string(value.as_int());
  if (value.is_float()) return float_text(value.as_float());
  if (value.is_string()) return quoted(value.as_string());
  if (value.is_function()) wrong_type("a printable value", value);
  std::string out;
  if (value.is_list()) {
    for (const Value& item : value.as_list()) out += (out.empty() ? "" : ", ") + to_repr(item);
    return "[" + out + "]";
  }
  for (const auto& [key, item] : value.as_dict()) {
    out += (out.empty() ? "" : ", ") + quoted(key) + ": " + to_repr(item);
  }
  return "{" + out + "}";
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_float() || b.is_float() ? a.as_float() == b.as_float() : a.as_int() == b.as_int();
  }
  if (a.is_string() && b.is_string()) return a.as_string() == b.as_string();
  if (a.is_list() && b.is_list()) {
    const List &x = a.as_list(), &y = b.as_list();
    return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(), equal);
  }
  if (a.is_dict() && b.is_dict()) {
    if (a.as_dict().size() != b.as_dict().size()) return false;
    for (const auto& [key, item] : a.as_dict()) {
      const Value* other = find(b.as_dict(), key);
      if (!other || !equal(item, *other)) return false;
    }
    return true;
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

bool less(const Value& a, const Value& b) {
  if (a.is_string() && b.is_string()) return a.as_string() < b.as_string();
  if (a.is_number() && b.is_number()) return a.as_float() < b.as_float();
  throw InputError("chat template: no order between " + a.type_name() + " and " + b.type_name());
}

std::string to_json(const Value& value, int indent) {
  std::string out;
  write_json(value, indent, 0, out);
  return out;
}

const Value* find(const Dict& dict, const std::string& key) {
  for (const auto& [name, value] : dict) {
    if (name == key) return &value;
  }
  return nullptr;
}

void assign(Dict& dict, const std::string& key, Value value) {
  for (auto& [name, old] : dict) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  dict.emplace_back(key, std::move(value));
}

Value from_json(const Json& json) {
  if (json.is_null()) return None{};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    List list;
    for (const Json& item : json) list.push_back(from_json(item));
    return list;
  }
  Dict dict;
  for (const auto& [key, item] : json.items()) dict.emplace_back(key, from_json(item));
  return dict;
}

int64_t length(const Value& value) {
  if (value.is_dict()) return static_cast<int64_t>(value.as_dict().size());
  if (value.is_undefined()) return 0;
  return static_cast<int64_t>(items_of(value).size());
}

List items_of(const Value& value) {
  if (value.is_list()) return value.as_list();
  if (value.is_undefined()) return {};
  List items;
  if (value.is_dict()) {
    for (const auto& [key, item] : value.as_dict()) items.emplace_back(key);
    return items;
  }
  if (!value.is_string()) wrong_type("something to iterate over", value);
  const std::string& text = value.as_string();
  for (size_t i = 0; i < text.size();) {
    const int bytes = decode_utf8(text, i).length;
    items.emplace_back(text.substr(i, static_cast<size_t>(bytes)));
    i += static_cast<size_t>(bytes);
  }
  return items;
}

}  // namespace weft::jinja
