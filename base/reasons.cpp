#include "base/reasons.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace weft {

namespace {

constexpr size_t kMaxBytes = 120;

/// Removes each " (line ...)".
void drop_places(std::string& text) {
  for (size_t at; (at = text.find(" (line ")) != std::string::npos;) {
    const size_t end = text.find(')', at);
    text.erase(at, end == std::string::npos ? end : end + 1 - at);
  }
}

void cut(std::string& text) {
  if (text.size() <= kMaxBytes) return;
  size_t size = kMaxBytes - 3;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  text.resize(size);
  text += "...";
}

}  // namespace

std::string reason_of(const std::string& error) {
  std::string text = error.substr(0, error.find('\n'));
  const size_t limit = text.find("(cut at ");
  if (limit != std::string::npos) {
    text = text.substr(limit + 1, text.find(')', limit) - limit - 1);
  }
  drop_places(text);
  text = text.substr(0, text.find(", got "));
  const size_t word = text.find_first_not_of("0123456789");
  if (word != std::string::npos && word > 0 && text[word] == ' ') text.replace(0, word, "too many");
  cut(text);
  return text.empty() ? "unknown" : text;
}

Json ReasonCounts::to_json(size_t most) const {
  std::vector<std::pair<std::string, int64_t>> sorted(counts_.begin(), counts_.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  Json json = Json::object();
  int64_t others = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (i < most) json[sorted[i].first] = sorted[i].second;
    if (i >= most) others += sorted[i].second;
  }
  if (others > 0) json["other reasons"] = others;
  return json;
}

std::string ReasonCounts::to_string(size_t most) const {
  const Json counts = to_json(most);
  std::string text;
  for (const auto& [reason, count] : counts.items()) {
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count.get<int64_t>(), reason);
  }
  return text;
}

}  // namespace weft
