#include "data/scorers/latex_text.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <utility>

#include "base/utf8.h"
#include "data/regex.h"

namespace weft {
namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_blank(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

struct Rule {
  std::string_view from, to;
};

// A rule that ends in a letter is for that command alone. The first that fits is taken.
constexpr Rule kRules[] = {{"\\\\", "\\\\"},
                           {"\\left", ""},
                           {"\\right", ""},
                           {"\\bigl", ""},
                           {"\\bigr", ""},
                           {"\\big", ""},
                           {"\\Bigl", ""},
                           {"\\Bigr", ""},
                           {"\\Big", ""},
                           {"\\displaystyle", ""},
                           {"\\textstyle", ""},
                           {"\\limits", ""},
                           {"\\!", ""},
                           {"\\,", " "},
                           {"\\;", " "},
                           {"\\:", " "},
                           {"\\>", " "},
                           {"\\ ", " "},
                           {"~", " "},
                           {"\\quad", " "},
                           {"\\qquad", " "},
                           {"\\newline", " "},
                           {"\\$", ""},
                           {"$", ""},
                           {"\\(", ""},
                           {"\\)", ""},
                           {"\\[", ""},
                           {"\\]", ""},
                           {"^\\circ", ""},
                           {"^{\\circ}", ""},
                           {"^\\degree", ""},
                           {"\\degree", ""},
                           {"\u00B0", ""},
                           {"{,}", ","},
                           {"\\dfrac", "\\frac"},
                           {"\\tfrac", "\\frac"},
                           {"\\cfrac", "\\frac"},
                           {"\\%", "%"},
                           {"\u2212", "-"},
                           {"\u2013", "-"},
                           {"\\cdot", "*"},
                           {"\\times", "*"},
                           {"\\ast", "*"},
                           {"\u00D7", "*"},
                           {"\u00B7", "*"},
                           {"\\div", "/"},
                           {"\u00F7", "/"},
                           {"\u03C0", "\\pi "},
                           {"\u221E", "\\infty "},
                           {"\\lbrace", "\\{"},
                           {"\\rbrace", "\\}"},
                           {"\\lbrack", "["},
                           {"\\rbrack", "]"},
                           {"\\langle", "("},
                           {"\\rangle", ")"},
                           {"\\lvert", "|"},
                           {"\\rvert", "|"},
                           {"\\vert", "|"},
                           {"\\leqslant", "\\leq "},
                           {"\\le", "\\leq "},
                           {"\u2264", "\\leq "},
                           {"\\geqslant", "\\geq "},
                           {"\\ge", "\\geq "},
                           {"\u2265", "\\geq "},
                           {"\\ne", "\\neq "},
                           {"\u2260", "\\neq "},
                           {"\u222A", "\\cup "},
                           {"\u2208", "\\in "},
                           {"\u00B1", "\\pm "},
                           {"\u221A", "\\sqrt"},
                           {"\u00B2", "^2"},
                           {"\u00B3", "^3"},
                           {"\u00BD", "\\frac{1}{2}"},
                           {"\u2019", "'"}};

constexpr std::string_view kWrappers[] = {
    "\\text",   "\\textbf", "\\textrm", "\\textit",       "\\texttt",    "\\mathrm", "\\mathbf",
    "\\mathit", "\\mathsf", "\\mbox",   "\\operatorname", "\\emph",      "\\boxed",  "\\fbox",
    "\\bf",     "\\rm",     "\\hbox",   "\\textnormal",   "\\boldsymbol"};

/// Whether `what` stands at `at`, as a whole command where it is one.
bool stands(std::string_view text, size_t at, std::string_view what) {
  if (text.compare(at, what.size(), what) != 0) return false;
  const size_t end = at + what.size();
  return !is_letter(what.back()) || what.front() != '\\' || end >= text.size() ||
         !is_letter(text[end]);
}

/// The end of a wrapper's opening brace, or npos where none stands here.
size_t wrapper_end(std::string_view text, size_t at) {
  if (text[at] != '\\') return std::string_view::npos;
  for (const auto wrapper : kWrappers) {
    if (!stands(text, at, wrapper)) continue;
    const size_t brace = text.find_first_not_of(' ', at + wrapper.size());
    if (brace != std::string_view::npos && text[brace] == '{') return brace + 1;
    return std::string_view::npos;
  }
  return std::string_view::npos;
}

size_t closing_brace(std::string_view text, size_t start) {
  int depth = 1;
  for (size_t i = start; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
      continue;
    }
    depth += (text[i] == '{') - (text[i] == '}');
    if (depth == 0) return i;
  }
  return std::string_view::npos;
}

/// "5 \text{ cm}^2" and "5 square units" without their unit; "5 percent" with its sign.
std::string without_unit(const std::string& text) {
  static const Regex kGroup(
      R"((?s)^(.*[0-9}\)\]a-zA-Z%$.])(?:\\[,;:! ]|[\s~])*\\(?:text|textrm|textbf|mathrm|mbox|hbox)\s*\{([^{}]*)\}\s*+(?:\^\{?[0-9]\}?)?[\s$.]*+$)");
  static const Regex kWords(
      R"((?s)^([-+]?\\?\$?\s*(?:[0-9][0-9,.]*(?:/[0-9]+)?|\\[dt]?frac\s*\{[0-9]+\}\s*\{[0-9]+\}|[0-9.]*\\pi|[0-9]*\\sqrt\{[0-9]+\})\$?)\s+([A-Za-z]{2}[A-Za-z .]*+)(?:\^\{?[23]\}?|[²³])?\.?$)");
  static const Regex kNoUnit(R"((?i)(?:^|[^a-z])(?:or|and|to|by|mod|base|if|for|mod)(?:$|[^a-z]))");
  static const Regex kPercent(R"((?i)^\s*(?:percent|per cent|pct)\s*\.?$)");
  const auto stripped = [&](const std::string& value, const std::string& unit) {
    return kPercent.match(unit) ? value + "%" : value;
  };
  if (const auto match = kGroup.match(text)) {
    const std::string& value = match->at(1);
    const bool has_value = value.find_first_of("0123456789") != std::string::npos ||
                           value.find("\\pi") != std::string::npos;
    if (has_value && !kNoUnit.match(match->at(2))) return stripped(value, match->at(2));
  }
  if (const auto match = kWords.match(text)) {
    if (!kNoUnit.match(match->at(2))) return stripped(match->at(1), match->at(2));
  }
  return text;
}

/// "2 1/3" as a mixed number: a space less and it would be 21/3.
std::string with_mixed_numbers(const std::string& text) {
  static const Regex kMixed(R"((?<![0-9./])([0-9]{1,9})\s+([0-9]{1,9})/([0-9]{1,9})(?![0-9./]))");
  std::string mixed = text;
  for (int i = 0; i < 8; ++i) {
    const auto match = kMixed.match(mixed);
    if (!match) break;
    mixed.replace(mixed.find(match->at(0)), match->at(0).size(),
                  match->at(1) + "\\frac{" + match->at(2) + "}{" + match->at(3) + "}");
  }
  return mixed;
}

/// The argument of a command without braces: its next character, or the command that stands there.
size_t bare_argument(std::string_view text, size_t at) {
  if (text[at] == '\\') {
    size_t end = at + 1;
    while (end < text.size() && is_letter(text[end])) ++end;
    return std::max(end, std::min(at + 2, text.size()));
  }
  return std::min(at + static_cast<size_t>(decode_utf8(text, at).length), text.size());
}

/// The parentheses that open at `at`, as of a root written \u221A(3), as braces.
void brace_parentheses(std::string& text, size_t at) {
  int depth = 0;
  for (size_t i = at; i < text.size(); ++i) {
    depth += (text[i] == '(') - (text[i] == ')');
    if (depth > 0) continue;
    text[at] = '{';
    text[i] = '}';
    return;
  }
}

/// The last so many arguments from `at` on, each in braces.
size_t append_arguments(std::string& out, std::string_view text, size_t at, int count) {
  for (; count > 0 && at < text.size() && text[at] != '{'; --count) {
    const size_t end = bare_argument(text, at);
    out.append("{").append(text.substr(at, end - at)).append("}");
    at = end;
    if (count > 1 && at < text.size() && text[at] == '{') return at;
  }
  return at;
}

}  // namespace

std::string simplified_latex(std::string_view latex) {
  const std::string text = with_mixed_numbers(without_unit(to_valid_utf8(latex)));
  std::set<size_t> skipped;
  std::string simple;
  for (size_t at = 0; at < text.size();) {
    if (skipped.count(at) > 0) {
      ++at;
      continue;
    }
    const size_t inner = wrapper_end(text, at);
    const size_t end = inner == std::string::npos ? inner : closing_brace(text, inner);
    if (end != std::string::npos) {
      skipped.insert(end);
      at = inner;
      continue;
    }
    const auto* const rule = std::find_if(std::begin(kRules), std::end(kRules),
                                          [&](const Rule& r) { return stands(text, at, r.from); });
    if (rule != std::end(kRules)) {
      simple += rule->to;
      at += rule->from.size();
    } else {
      simple += is_blank(text[at]) ? ' ' : text[at];
      ++at;
    }
  }
  return simple;
}

std::string compact_latex(std::string_view text) {
  std::string dense;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_blank(text[i])) {
      dense += text[i];
    } else if (i > 0 && i + 1 < text.size() && is_letter(text[i - 1]) && is_letter(text[i + 1])) {
      const size_t command = text.find_last_of('\\', i);
      const bool of_command = command != std::string_view::npos &&
                              std::all_of(text.begin() + static_cast<int64_t>(command) + 1,
                                          text.begin() + static_cast<int64_t>(i), is_letter);
      if (of_command) dense += ' ';  // \pi r is no \pir
    }
  }
  std::string compact;
  for (size_t at = 0; at < dense.size();) {
    if (stands(dense, at, "\\frac") || stands(dense, at, "\\sqrt")) {
      const int arguments = dense[at + 1] == 'f' ? 2 : 1;
      compact.append(dense, at, 5);
      at += 5;
      if (arguments == 1 && at < dense.size() && dense[at] == '[') continue;
      if (at < dense.size() && dense[at] == ' ') ++at;
      if (arguments == 1 && at < dense.size() && dense[at] == '(') brace_parentheses(dense, at);
      if (at < dense.size() && dense[at] == '{') {
        const size_t end = closing_brace(dense, at + 1);
        if (arguments == 2 && end != std::string::npos && end + 1 < dense.size() &&
            dense[end + 1] != '{') {
          const size_t after = bare_argument(dense, end + 1);
          dense = dense.substr(0, end + 1) + "{" + dense.substr(end + 1, after - end - 1) + "}" +
                  dense.substr(after);
        }
        continue;
      }
      at = append_arguments(compact, dense, at, arguments);
      continue;
    }
    const bool is_script = (dense[at] == '^' || dense[at] == '_') && at + 3 < dense.size() &&
                           dense[at + 1] == '{' && dense[at + 3] == '}' && dense[at + 2] != '\\';
    if (is_script) {
      compact += dense[at];
      compact += dense[at + 2];
      at += 4;
    } else {
      compact += dense[at++];
    }
  }
  return compact;
}

std::vector<std::string_view> split_outside_brackets(std::string_view text,
                                                     std::string_view separator) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    if (depth == 0 && stands(text, at, separator)) {
      parts.push_back(text.substr(start, at - start));
      start = at += separator.size();
      continue;
    }
    const char c = text[at];
    depth += (c == '{' || c == '(' || c == '[') - (c == '}' || c == ')' || c == ']');
    if (depth < 0) return {text};
    ++at;
  }
  if (depth != 0) return {text};
  parts.push_back(text.substr(start));
  return parts;
}

}  // namespace weft
