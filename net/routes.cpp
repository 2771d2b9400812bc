#include "net/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "net/target.h"

namespace weft::net {

namespace {

enum class SegmentKind { kText, kOne, kRest };  // the first goes before the others

struct Segment {
  SegmentKind kind = SegmentKind::kText;
  std::string text;  ///< the text, or the parameter's name
};

std::vector<Segment> segments_of(const std::string& path) {
  std::vector<Segment> segments;
  for (std::string& text : decoded_segments(path).value_or(std::vector<std::string>())) {
    if (!text.starts_with('{') || !text.ends_with('}')) {
      segments.push_back({SegmentKind::kText, std::move(text)});
      continue;
    }
    const bool rest = text.ends_with("*}");
    segments.push_back({rest ? SegmentKind::kRest : SegmentKind::kOne,
                        text.substr(1, text.size() - (rest ? 3 : 2))});
  }
  return segments;
}

/// Equal for routes that match the same paths.
std::string shape_of(const std::string& path) {
  std::string shape;
  for (const Segment& segment : segments_of(path)) {
    shape += fmt::format("/{}{}", static_cast<int>(segment.kind),
                         segment.kind == SegmentKind::kText ? segment.text : "");
  }
  return shape;
}

/// Values of the pattern's parameters; nothing when the path is another.
std::optional<std::vector<std::pair<std::string, std::string>>> match(
    const std::vector<Segment>& pattern, const std::vector<std::string>& path) {
  std::vector<std::pair<std::string, std::string>> values;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (i >= path.size()) return std::nullopt;
    const auto& [kind, text] = pattern[i];
    if (kind == SegmentKind::kText) {
      if (path[i] != text) return std::nullopt;
      continue;
    }
    if (path[i].empty()) return std::nullopt;
    std::string value = path[i];
    for (size_t j = i + 1; kind == SegmentKind::kRest && j < path.size(); ++j) {
      value += "/" + path[j];
    }
    values.emplace_back(text, std::move(value));
    if (kind == SegmentKind::kRest) return values;
  }
  if (pattern.size() != path.size()) return std::nullopt;
  return values;
}

/// Whether `a` goes before `b` where both match.
bool more_precise(const std::vector<Segment>& a, const std::vector<Segment>& b) {
  return std::lexicographical_compare(
      a.begin(), a.end(), b.begin(), b.end(),
      [](const Segment& x, const Segment& y) { return x.kind < y.kind; });
}

bool answers(const Route& route, std::string_view method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

}  // namespace

void Routes::add(Route route) {
  const auto segments = segments_of(route.path);
  const bool rest_inside =
      std::any_of(segments.begin(), segments.end(), [&](const Segment& segment) {
        return segment.kind == SegmentKind::kRest && &segment != &segments.back();
      });
  if (!route.path.starts_with('/') || segments.empty() || rest_inside) {
    throw std::invalid_argument(fmt::format(
        "route: expected a path with at most one {{name*}}, at its end, got '{}'", route.path));
  }
  if (route.method.empty() || !route.handler) {
    throw std::invalid_argument(
        fmt::format("route {}: expected a method and a handler", route.path));
  }
  for (const Route& other : routes_) {
    if (other.method == route.method && shape_of(other.path) == shape_of(route.path)) {
      throw std::invalid_argument(
          fmt::format("route {} {}: is there already", route.method, route.path));
    }
  }
  routes_.push_back(std::move(route));
}

Routes::Match Routes::find(std::string_view method, std::string_view path) const {
  Match found;
  const auto segments = decoded_segments(path == "*" ? "" : path);
  if (!segments || segments->empty()) return found;
  std::set<std::string> methods;
  std::vector<Segment> best;
  for (const Route& route : routes_) {
    const auto pattern = segments_of(route.path);
    auto values = match(pattern, *segments);
    if (!values) continue;
    methods.insert(route.method);
    if (route.method == "GET") methods.insert("HEAD");
    if (!answers(route, method) || (found.route && !more_precise(pattern, best))) continue;
    found.route = &route;
    found.parameters = std::move(*values);
    best = pattern;
  }
  if (methods.empty()) return found;
  methods.insert("OPTIONS");
  for (const auto& name : methods) found.allow += (found.allow.empty() ? "" : ", ") + name;
  return found;
}

}  // namespace weft::net
