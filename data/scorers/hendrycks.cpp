#include "base/utf8.h"
#include "data/regex.h"
#include "data/scorers/math_value.h"

namespace weft {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  std::string result;
  size_t start = 0;
  for (size_t at = 0; (at = text.find(from, start)) != std::string::npos;
       start = at + from.size()) {
    result.append(text, start, at - start).append(to);
  }
  text = result.append(text, start);
}

std::vector<std::string_view> parts_between(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (size_t at = 0; (at = text.find(separator, start)) != std::string_view::npos;
       start = at + separator.size()) {
    parts.push_back(text.substr(start, at - start));
  }
  parts.push_back(text.substr(start));
  return parts;
}

/// The first character and what follows it.
std::pair<std::string_view, std::string_view> first_character(std::string_view text) {
  const auto length = static_cast<size_t>(decode_utf8(text, 0).length);
  return {text.substr(0, length), text.substr(length)};
}

/// \frac12 as \frac{1}{2}; none where a \frac ends the text.
std::optional<std::string> braced_fractions(const std::string& text) {
  const auto parts = parts_between(text, "\\frac");
  std::string fixed(parts[0]);
  for (size_t i = 1; i < parts.size(); ++i) {
    fixed += "\\frac";
    if (parts[i].empty()) return std::nullopt;
    if (parts[i].front() == '{') {
      fixed += parts[i];
      continue;
    }
    const auto [over, rest] = first_character(parts[i]);
    if (rest.empty()) return text;
    const auto [under, tail] = first_character(rest);
    fixed.append("{").append(over).append("}");
    if (under == "{") {
      fixed += rest;
    } else {
      fixed.append("{").append(under).append("}").append(tail);
    }
  }
  return fixed;
}

/// \sqrt3 as \sqrt{3}; none where a \sqrt ends the text.
std::optional<std::string> braced_roots(const std::string& text) {
  const auto parts = parts_between(text, "\\sqrt");
  std::string fixed(parts[0]);
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].empty()) return std::nullopt;
    const auto [of, tail] = first_character(parts[i]);
    fixed += "\\sqrt";
    if (of == "{") {
      fixed += parts[i];
    } else {
      fixed.append("{").append(of).append("}").append(tail);
    }
  }
  return fixed;
}

std::string with_fraction(const std::string& text) {
  static const Regex kSlash(R"(^(-?[1-9][0-9]{0,4000}|0)/(-?[1-9][0-9]{0,4000}|0)$)");
  const auto match = kSlash.match(text);
  return match ? "\\frac{" + match->at(1) + "}{" + match->at(2) + "}" : text;
}

}  // namespace

std::optional<std::string> hendrycks_form(std::string_view latex) {
  std::string text(latex);
  for (const auto& [from, to] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{{"\n", ""},
                                                                            {"\\!", ""},
                                                                            {"\\\\", "\\"},
                                                                            {"tfrac", "frac"},
                                                                            {"dfrac", "frac"},
                                                                            {"\\left", ""},
                                                                            {"\\right", ""},
                                                                            {"^{\\circ}", ""},
                                                                            {"^\\circ", ""},
                                                                            {"\\$", ""}}) {
    replace_all(text, from, to);
  }
  const auto units = parts_between(text, "\\text{ ");
  if (units.size() > 2) return std::nullopt;
  text = std::string(units[0]);
  for (const auto& [from, to] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"\\%", ""}, {"%", ""}, {" .", " 0."}, {"{.", "{0."}}) {
    replace_all(text, from, to);
  }
  if (text.empty()) return text;
  if (text.front() == '.') text.insert(text.begin(), '0');
  const size_t equals = text.find('=');
  if (equals <= 2 && text.find('=', equals + 1) == std::string::npos) text.erase(0, equals + 1);
  auto fixed = braced_roots(text);
  if (!fixed) return std::nullopt;
  replace_all(*fixed, " ", "");
  fixed = braced_fractions(*fixed);
  if (!fixed) return std::nullopt;
  if (*fixed == "0.5") return "\\frac{1}{2}";
  return with_fraction(*fixed);
}

bool hendrycks_equal(std::string_view a, std::string_view b) {
  const auto x = hendrycks_form(a), y = hendrycks_form(b);
  return x && y ? *x == *y : a == b;
}

}  // namespace weft
