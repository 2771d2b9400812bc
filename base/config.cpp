#include "base/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/spelling.h"

namespace weft {
namespace config_detail {
namespace {

/// A key path as what may be meant by an unknown key.
struct Candidate {
  std::string parent, name;
  bool is_sibling = false;  ///< in the object where the unknown key is
  bool is_below = false;    ///< that object or one in it
  size_t distance = 0;      ///< edits between the names

  Candidate(const std::string& path, const UnknownKey& unknown) {
    const size_t dot = path.rfind('.');
    parent = dot == std::string::npos ? "" : path.substr(0, dot);
    name = path.substr(dot + 1);
    is_sibling = parent == unknown.path;
    is_below = unknown.path.empty() || (parent + ".").starts_with(unknown.path + ".");
    distance = edit_distance(name, unknown.key);
  }

  /// Elsewhere only a name that is nearly the same says anything.
  bool is_meant(const std::string& key) const {
    return is_sibling || distance <= (key.size() < 5 ? 0U : key.size() < 7 ? 1U : 2U);
  }
  auto rank() const {
    const auto depth = std::count(parent.begin(), parent.end(), '.');
    return std::tuple(distance, !is_sibling, !is_below, depth);
  }
};

}  // namespace

void throw_unknown_key(const UnknownKey& unknown, const std::vector<std::string>& all_paths) {
  const auto& [path, key] = unknown;
  std::string message =
      fmt::format("config: unknown key \"{}\"", path.empty() ? key : path + "." + key);
  std::optional<Candidate> best;
  for (const std::string& known : all_paths) {
    const Candidate candidate(known, unknown);
    if (!candidate.is_meant(key)) continue;
    if (!best || candidate.rank() < best->rank()) best = candidate;
  }
  if (best) {
    const bool is_short = best->is_sibling || best->parent.empty();
    message += fmt::format(" (did you mean \"{}\"?)",
                           is_short ? best->name : best->parent + "." + best->name);
  }
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
