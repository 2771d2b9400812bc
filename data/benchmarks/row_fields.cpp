#include "data/benchmarks/row_fields.h"

#include <algorithm>
#include <cctype>
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

RowFields::RowFields(const Json& row, std::string where) : row_(row), where_(std::move(where)) {
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

FieldCounts RowFields::unread() const {
  FieldCounts columns;
  count_further_fields(row_, FieldNames(asked_.begin(), asked_.end()), where_, columns);
  for (const auto& [key, value] : row_.items()) {
    if (asked_.contains(key) || is_empty(value) || !seems_to_hold_tests(key, value)) continue;
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

}  // namespace weft
