#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace weft {

namespace {

constexpr int kMostNested = 256;    // values within values are walked by recursion
constexpr size_t kMostKeys = 4096;  // finding a key is a walk over those before it

Json parse(std::string_view text, const std::string& where, JsonComments comments,
           const Json::parser_callback_t& callback) {
  try {
    return Json::parse(text, callback, /*allow_exceptions=*/true,
                       /*ignore_comments=*/comments == JsonComments::kIgnore);
  } catch (const Json::exception& error) {  // parse_error, or out_of_range: a number beyond double
    std::string reason = error.what();
    const auto cut = reason.find("] ");
    if (cut != std::string::npos) reason.erase(0, cut + 2);
    throw InputError(where + ": not valid JSON, " + reason);
  }
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where, JsonComments comments) {
  return parse(text, where, comments, nullptr);
}

Json parse_json_row(std::string_view text, const std::string& where) {
  if (text.find('\0') != std::string_view::npos) {
    throw InputError(where + ": not valid JSON, holds a NUL byte (is the file in UTF-16?)");
  }
  std::vector<std::vector<std::string>> open;  // keys of the objects that are being read
  const auto refuse = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMostNested) {
      throw InputError(fmt::format("{}: expected at most {} nested values", where, kMostNested));
    }
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event != Json::parse_event_t::key) return true;
    const auto& key = parsed.get_ref<const std::string&>();
    auto& keys = open.back();
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
      throw InputError(where + ": expected field \"" + key + "\" once in an object, got it twice");
    }
    keys.push_back(key);
    if (keys.size() > kMostKeys) {
      throw InputError(
          fmt::format("{}: expected at most {} fields in an object", where, kMostKeys));
    }
    return true;
  };
  return parse(text, where, JsonComments::kIgnore, refuse);
}

Json read_json_file(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

std::string dump_json(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dump_json_pretty(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

const char* describe_type(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    case Json::value_t::number_float:
      return "a fractional number";
    default:
      return "an integer";
  }
}

void throw_field_error(const std::string& where, const char* key, const char* expected,
                       const Json* got) {
  std::string found = "nothing";
  if (got) {
    found = describe_type(*got);
    if (got->is_primitive()) found += " (" + dump_json(*got).substr(0, 60) + ")";
  }
  throw InputError(where + ": field \"" + key + "\": expected " + expected + ", got " + found);
}

void require_known_fields(const Json& object, const Json& known, const std::string& where) {
  if (!object.is_object()) {
    throw InputError(where + ": expected an object, got " + describe_type(object));
  }
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) {
      throw InputError(where + ": field \"" + key + "\" is unknown to this version");
    }
  }
}

}  // namespace weft
