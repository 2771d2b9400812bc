/// JSON with insertion order kept, and reading of it with errors that name place, expected and got.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace weft {

using Json = nlohmann::ordered_json;

enum class JsonComments { kIgnore, kRefuse };

/// Parses JSON, by default with // and /* */ comments. `where` (a file, "line 3 of x.jsonl") opens
/// the message of the InputError thrown on bad text and on numbers beyond double.
Json parse_json(std::string_view text, const std::string& where,
                JsonComments comments = JsonComments::kIgnore);

/// parse_json of a stranger's line. Refuses a key that an object has twice, text behind a NUL byte,
/// values nested deeper than 256 and objects of more than 4,096 fields.
Json parse_json_row(std::string_view text, const std::string& where);

/// parse_json of a file's text.
Json read_json_file(const std::filesystem::path& path);

/// One line; invalid UTF-8 is replaced by U+FFFD.
std::string dump_json(const Json& json);

/// Indented by two, with a newline at the end.
std::string dump_json_pretty(const Json& json);

/// "a string", "an array", ... as error messages call a value's type.
const char* describe_type(const Json& json);

[[noreturn]] void throw_field_error(const std::string& where, const char* key, const char* expected,
                                    const Json* got);

namespace detail {
template <class T>
struct JsonKind;
template <>
struct JsonKind<std::string> {
  static constexpr const char* kName = "a string";
  static bool matches(const Json& json) { return json.is_string(); }
};
template <>
struct JsonKind<bool> {
  static constexpr const char* kName = "true or false";
  static bool matches(const Json& json) { return json.is_boolean(); }
};
template <>
struct JsonKind<int64_t> {
  static constexpr const char* kName = "an integer";
  static bool matches(const Json& json) {
    return json.is_number_integer() &&
           !(json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{INT64_MAX});
  }
};
template <>
struct JsonKind<int> {
  static constexpr const char* kName = "an integer of 32 bits";
  static bool matches(const Json& json) {
    if (!JsonKind<int64_t>::matches(json)) return false;
    const auto value = json.get<int64_t>();
    return value >= INT32_MIN && value <= INT32_MAX;
  }
};
template <>
struct JsonKind<uint64_t> {
  static constexpr const char* kName = "an integer >= 0";
  static bool matches(const Json& json) { return json.is_number_unsigned(); }
};
template <>
struct JsonKind<double> {
  static constexpr const char* kName = "a number";
  static bool matches(const Json& json) { return json.is_number(); }
};
template <class T>
struct JsonKind<std::vector<T>> {
  static constexpr const char* kName = "an array";
  static bool matches(const Json& json) {
    if (!json.is_array()) return false;
    for (const auto& item : json) {
      if (!JsonKind<T>::matches(item)) return false;
    }
    return true;
  }
};
template <>
struct JsonKind<Json> {
  static constexpr const char* kName = "a value";
  static bool matches(const Json&) { return true; }
};
}  // namespace detail

/// The field of an object as T (std::string, bool, int, int64_t, uint64_t, double, Json, vectors of
/// those). Throws InputError when it is missing or of another type.
template <class T>
T get_field(const Json& json, const char* key, const std::string& where) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  const Json* value = json.is_object() && found != json.end() ? &*found : nullptr;
  if (!value || !detail::JsonKind<T>::matches(*value)) {
    throw_field_error(where, key, detail::JsonKind<T>::kName, value);
  }
  return value->template get<T>();
}

/// The same, but an absent or null field gives `fallback`.
template <class T>
T get_field_or(const Json& json, const char* key, T fallback, const std::string& where) {
  if (json.is_object()) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) return fallback;
  }
  return get_field<T>(json, key, where);
}

/// Throws InputError naming the first field of `object` that `known` lacks: what another version
/// has written there would be lost without a word.
void require_known_fields(const Json& object, const Json& known, const std::string& where);

}  // namespace weft
