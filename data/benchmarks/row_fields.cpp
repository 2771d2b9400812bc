#include "data/benchmarks/row_fields.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "base/error.h"

namespace weft {
namespace {

bool seems_to_hold_tests(const std::string& key, const Json& value) {
  std::string name = key;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* part : {"test", "assert", "check", "input", "output", "result", "expect",
                           "contract", "oracle", "atol", "rtol", "toleranc"}) {
    if (name.find(part) != std::string::npos) return true;
  }
  if (value.is_string()) {
    std::istringstream lines(value.get_ref<const std::string&>());
    for (std::string line; std::getline(lines, line);) {
      const size_t start = line.find_first_not_of(" \t");
      if (start != std::string::npos && line.compare(start, 7, "assert ") == 0) return true;
    }
    return false;
  }
  return value.is_array() && std::any_of(value.begin(), value.end(), [](const Json& item) {
           return seems_to_hold_tests("", item);
         });
}

bool is_empty(const Json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         (value.is_structured() && value.empty());
}

}  // namespace

RowFields::RowFields(const Json& row, std::string where, int64_t index)
    : row_(row), where_(std::move(where)), index_(index) {
  if (!row.is_object()) fail(std::string("expected an object, got ") + describe_type(row));
}

bool RowFields::has(const std::string& key) const {
  const auto found = row_.find(key);
  return found != row_.end() && !found->is_null();
}

std::string RowFields::text(const char* key) {
  asked_.insert(key);
  return get_field<std::string>(row_, key, where_);
}

std::string RowFields::text_or(const char* key, const std::string& fallback) {
  asked_.insert(key);
  return get_field_or<std::string>(row_, key, fallback, where_);
}

std::vector<std::string> RowFields::texts(const char* key) {
  std::vector<std::string> texts;
  for (const auto& text : array(key)) {
    if (!text.is_string()) fail(std::string(key) + ": expected an array of strings");
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

Json RowFields::array(const char* key) {
  asked_.insert(key);
  const Json value = get_field_or<Json>(row_, key, Json::array(), where_);
  if (!value.is_array()) throw_field_error(where_, key, "an array", &value);
  return value;
}

double RowFields::number_or(const char* key, double fallback) {
  asked_.insert(key);
  return get_field_or<double>(row_, key, fallback, where_);
}

std::string RowFields::id(const char* key, const std::string& prefix) {
  asked_.insert(key);
  const Json id = get_field<Json>(row_, key, where_);
  return id.is_string() ? id.get<std::string>() : prefix + dump_json(id);
}

std::string RowFields::first_text(const std::vector<const char*>& keys) {
  for (const char* key : keys) asked_.insert(key);
  for (const char* key : keys) {
    if (has(key)) return text(key);
  }
  return text(keys.front());
}

std::string RowFields::text_or_number(const std::vector<const char*>& keys) {
  for (const char* key : keys) asked_.insert(key);
  for (const char* key : keys) {
    if (!has(key)) continue;
    const Json& value = row_.at(key);
    if (!value.is_number()) return text(key);
    const double number = value.get<double>();
    if (value.is_number_integer() || number != std::trunc(number) || std::abs(number) > 1e15) {
      return dump_json(value);
    }
    return std::to_string(static_cast<int64_t>(number));
  }
  return text(keys.front());
}

std::string RowFields::id_or_index(const std::vector<const char*>& keys,
                                   const std::string& dataset) {
  for (const char* key : keys) asked_.insert(key);
  for (const char* key : keys) {
    if (has(key)) return id(key, dataset + "/");
  }
  return dataset + "/" + std::to_string(index_);
}

Json RowFields::value(const char* key) {
  asked_.insert(key);
  return get_field<Json>(row_, key, where_);
}

Json RowFields::parse_text(const char* what, const std::string& text) {
  try {
    return parse_json(text, what);
  } catch (const InputError& error) {
    fail(error.what());
  }
}

Json RowFields::json_text(const char* key) {
  Json given = value(key);
  return given.is_string() ? parse_text(key, given.get<std::string>()) : given;
}

Json RowFields::some(const std::vector<const char*>& keys) {
  Json found = Json::object();
  for (const char* key : keys) {
    asked_.insert(key);
    if (has(key)) found[key] = row_.at(key);
  }
  return found;
}

FieldCounts RowFields::unread(bool has_tests) const {
  FieldCounts columns;
  count_further_fields(row_, FieldNames(asked_.begin(), asked_.end()), where_, columns);
  for (const auto& [key, value] : row_.items()) {
    if (!has_tests || asked_.contains(key) || is_empty(value) || !seems_to_hold_tests(key, value)) {
      continue;
    }
    fail("field \"" + key +
         "\" seems to hold tests and is not read here: is it another benchmark's row? Take the "
         "field out to do without it");
  }
  return columns;
}

void RowFields::fail(const std::string& problem) const {
  const auto id = row_.is_object() ? row_.find("task_id") : row_.end();
  const bool is_named = row_.is_object() && id != row_.end() && !id->is_structured();
  const std::string name = !is_named         ? ""
                           : id->is_string() ? id->get<std::string>()
                                             : dump_json(*id);
  throw InputError(where_ + ": " + (name.empty() ? "" : name + ": ") + problem);
}

std::string trimmed(const std::string& text) {
  constexpr const char* kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

bool is_decimal(const std::string& text) {
  if (text.find_first_not_of("+-.0123456789eE") != std::string::npos) return false;
  if (text.find_first_of("0123456789") == std::string::npos) return false;
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return *end == '\0';
}

}  // namespace weft
