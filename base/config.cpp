#include "base/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/spelling.h"

namespace weft {
namespace config_detail {
void throw_unknown_key(const std::string& path, const std::string& key,
                       const std::vector<std::string>& known) {
  std::string message =
      fmt::format("config: unknown key \"{}\"", path.empty() ? key : path + "." + key);
  const auto nearest = std::min_element(known.begin(), known.end(), [&](auto& a, auto& b) {
    return edit_distance(a, key) < edit_distance(b, key);
  });
  if (nearest != known.end()) message += fmt::format(" (did you mean \"{}\"?)", *nearest);
  throw InputError(message);
}

void throw_value_error(const std::string& path, const std::string& expected, const Json& got) {
  throw InputError(fmt::format("config: \"{}\": expected {}, got {}", path.empty() ? "." : path,
                               expected, dump_json(got).substr(0, 80)));
}

void Describer::line(const char* key, const std::string& value, const char* comment) {
  const std::string name = std::string(static_cast<size_t>(2 + 2 * depth), ' ') + key;
  text += fmt::format("{:<30} {:<14} {}\n", name, value, comment);
}

}  // namespace config_detail

void apply_override(Json& json, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw InputError("--set expects key=value, got \"" + assignment + "\"");
  }
  Json* node = &json;
  std::string path = assignment.substr(0, equals);
  for (size_t dot; (dot = path.find('.')) != std::string::npos; path.erase(0, dot + 1)) {
    node = &(*node)[path.substr(0, dot)];
    if (!node->is_object() && !node->is_null()) {
      throw InputError("--set " + assignment + ": \"" + path.substr(0, dot) + "\" is no object");
    }
  }
  const std::string text = assignment.substr(equals + 1);
  const Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  (*node)[path] = value.is_discarded() ? Json(text) : value;
}

}  // namespace weft
