#include "data/scorers/math_value.h"

#include <algorithm>
#include <cctype>

#include "base/python_string.h"
#include "data/regex.h"
#include "data/scorers/latex_text.h"
#include "data/scorers/math_number.h"

namespace weft {
namespace {

constexpr int kMaxDepth = 8;
constexpr size_t kMaxParts = 64;  // of a list: any order is compared pair by pair

using Kind = MathValue::Kind;

std::string_view trimmed(std::string_view text) { return python::strip(text, " ", true, true); }

/// Without the point, comma or colon that ends or opens a phrase.
std::string_view without_marks(std::string_view text) {
  text = trimmed(text);
  while (!text.empty() && std::string_view(".,;:*").find(text.back()) != std::string_view::npos) {
    text = trimmed(text.substr(0, text.size() - 1));
  }
  while (!text.empty() && std::string_view(",;:*").find(text.front()) != std::string_view::npos) {
    text = trimmed(text.substr(1));
  }
  return text;
}

/// The variable of "x = 5" or "x \in [0, 1]" and the rest; an empty one where there is none.
std::pair<std::string, std::string_view> split_variable(std::string_view text) {
  static const Regex kVariable(
      R"((?s)^\s*(\\?[a-zA-Z]+(?:_\{?[a-zA-Z0-9]+\}?)?(?:\([a-z]\))?|\((?:[a-z],\s*)+[a-z]\))\s*(?:=|\\in(?![a-zA-Z]))(.+)$)");
  if (text.size() > kMaxMathValueBytes) return {"", text};
  const auto match = kVariable.match(text);
  if (!match || std::count(text.begin(), text.end(), '=') > 1) return {"", text};
  return {match->at(1), text.substr(text.size() - match->at(2).size())};
}

/// What two brackets enclose that open and close the text and belong together.
std::optional<std::string_view> enclosed(std::string_view text, std::string_view open,
                                         std::string_view close) {
  if (text.size() < open.size() + close.size() || !text.starts_with(open) ||
      !text.ends_with(close)) {
    return std::nullopt;
  }
  const auto inner = text.substr(open.size(), text.size() - open.size() - close.size());
  int depth = 0;
  for (const char c : inner) {
    depth += (c == '{' || c == '(' || c == '[') - (c == '}' || c == ')' || c == ']');
    if (depth < 0) return std::nullopt;
  }
  return depth == 0 ? std::optional(inner) : std::nullopt;
}

MathValue parse(std::string_view text, int depth);

MathValue leaf_of(std::string_view text) {
  MathValue value;
  value.leaf = compact_latex(text);
  if (value.leaf.size() > 1 && value.leaf.front() == '+') value.leaf.erase(0, 1);
  return value;
}

MathValue group(Kind kind, const std::vector<std::string_view>& parts, int depth) {
  MathValue value;
  value.kind = kind;
  for (const auto part : parts) {
    if (!trimmed(part).empty()) value.parts.push_back(parse(part, depth + 1));
  }
  return value;
}

std::vector<std::string_view> split_at_commas(std::string_view text) {
  for (const std::string_view separator : {", ", ",", ";"}) {
    auto parts = split_outside_brackets(text, separator);
    if (parts.size() > 1) return parts;
  }
  return {text};
}

/// "1, 2 and 3" at its separators.
std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> parts;
  for (const std::string_view words : {" or ", " and "}) {
    const auto halves = split_outside_brackets(text, words);
    if (halves.size() < 2) continue;
    for (const auto half : halves) {
      for (const auto part : split_at_commas(half)) parts.push_back(part);
    }
    return parts;
  }
  return split_at_commas(text);
}

/// Parts that name their variables are values where all name the same one.
MathValue list_of(const std::vector<std::string_view>& parts, int depth) {
  const std::string first = split_variable(parts.front()).first;
  const bool same = std::all_of(parts.begin(), parts.end(), [&](std::string_view part) {
    const std::string name = split_variable(part).first;
    return name.empty() || name == first;
  });
  if (same) return group(Kind::kList, parts, depth);
  MathValue list;
  list.kind = Kind::kList;
  for (const auto part : parts) list.parts.push_back(leaf_of(without_marks(part)));
  return list;
}

std::optional<MathValue> matrix_of(std::string_view text, int depth) {
  static const Regex kMatrix(
      R"((?s)^\\begin\{([pbBvV]?matrix|array)\}(?:\{[^}]*\})?(.*)\\end\{\1\}$)");
  const auto match = kMatrix.match(text);
  if (!match) return std::nullopt;
  MathValue matrix;
  matrix.kind = Kind::kMatrix;
  for (const auto row : split_outside_brackets(match->at(2), "\\\\")) {
    if (trimmed(row).empty()) continue;
    matrix.parts.push_back(group(Kind::kTuple, split_outside_brackets(row, "&"), depth));
  }
  return matrix;
}

std::optional<MathValue> bracketed(std::string_view text, int depth) {
  if (const auto inner = enclosed(text, "\\{", "\\}")) {
    const auto parts = split_list(*inner);
    return parts.size() > kMaxParts ? leaf_of(text) : group(Kind::kList, parts, depth);
  }
  for (const char open : {'(', '['}) {
    for (const char close : {')', ']'}) {
      const auto inner = enclosed(text, {&open, 1}, {&close, 1});
      if (!inner) continue;
      const auto parts = split_at_commas(*inner);
      if (parts.size() > 1) {
        MathValue tuple = group(Kind::kTuple, parts, depth);
        tuple.open = open;
        tuple.close = close;
        return tuple;
      }
      if (open == '(' && close == ')') return parse(*inner, depth + 1);
    }
  }
  if (const auto inner = enclosed(text, "{", "}")) return parse(*inner, depth + 1);
  return std::nullopt;
}

/// "1 \pm x" as 1 + x and 1 - x.
std::optional<MathValue> both_signs(std::string_view text, int depth) {
  const auto halves = split_outside_brackets(text, "\\pm");
  if (halves.size() != 2) return std::nullopt;
  MathValue list;
  list.kind = Kind::kList;
  for (const char* sign : {"+", "-"}) {
    list.parts.push_back(parse(std::string(halves[0]) + sign + std::string(halves[1]), depth + 1));
  }
  return list;
}

MathValue parse(std::string_view text, int depth) {
  static const Regex kThousands(R"(^[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?%?$)");
  text = without_marks(text);
  if (depth > kMaxDepth) return leaf_of(text);
  text = without_marks(split_variable(text).second);
  if (kThousands.match(text)) return leaf_of(text);
  if (auto matrix = matrix_of(text, depth)) return *std::move(matrix);
  const auto united = split_outside_brackets(text, "\\cup");
  if (united.size() > 1) return group(Kind::kUnion, united, depth);
  if (auto value = bracketed(text, depth)) return *std::move(value);
  const auto parts = split_list(text);
  if (parts.size() > kMaxParts) return leaf_of(text);
  if (parts.size() > 1) return list_of(parts, depth);
  if (auto list = both_signs(text, depth)) return *std::move(list);
  return leaf_of(text);
}

bool is_word(const std::string& leaf) {
  return leaf.size() >= 2 && std::all_of(leaf.begin(), leaf.end(), [](unsigned char c) {
           return std::isalpha(c) != 0 || c >= 0x80 || c == '-' || c == '\'';
         });
}

Equality compare_leaves(const std::string& prediction, const std::string& gold) {
  if (prediction == gold) return Equality::kEqual;
  const auto x = math_number(prediction), y = math_number(gold);
  if (x && y) return numbers_equal(*x, *y) ? Equality::kEqual : Equality::kUnequal;
  const bool words = is_word(prediction) && is_word(gold);
  if (words && python::lower(prediction) == python::lower(gold)) return Equality::kEqual;
  constexpr size_t kLongestProduct = 3;  // of variables: xy is yx
  if (words && std::max(prediction.size(), gold.size()) <= kLongestProduct) {
    return Equality::kUnknown;
  }
  const auto is_plain = [](const std::string& leaf, bool number) {
    return number || is_word(leaf) || leaf.size() <= 1;
  };
  return is_plain(prediction, x.has_value()) && is_plain(gold, y.has_value()) ? Equality::kUnequal
                                                                              : Equality::kUnknown;
}

Equality both(Equality a, Equality b) {
  if (a == Equality::kUnequal || b == Equality::kUnequal) return Equality::kUnequal;
  return a == Equality::kEqual ? b : a;
}

Equality compare_in_order(const MathValue& prediction, const MathValue& gold) {
  Equality all = Equality::kEqual;
  for (size_t i = 0; i < gold.parts.size() && all != Equality::kUnequal; ++i) {
    all = both(all, compare_values(prediction.parts[i], gold.parts[i]));
  }
  return all;
}

/// Every part takes the first equal one that is left; what is left is unknown where each may have a
/// partner.
Equality compare_in_any_order(const MathValue& prediction, const MathValue& gold) {
  std::vector<const MathValue*> left;
  for (const auto& part : prediction.parts) left.push_back(&part);
  Equality all = Equality::kEqual;
  for (const auto& part : gold.parts) {
    auto best = left.end();
    Equality found = Equality::kUnequal;
    for (auto other = left.begin(); other != left.end() && found != Equality::kEqual; ++other) {
      const Equality equal = compare_values(**other, part);
      if (equal == Equality::kUnequal) continue;
      if (equal == Equality::kEqual || found == Equality::kUnequal) best = other;
      found = equal;
    }
    if (found == Equality::kUnequal) return Equality::kUnequal;
    if (found == Equality::kEqual) left.erase(best);
    all = both(all, found);
  }
  return all;
}

}  // namespace

MathValue parse_math_value(std::string_view latex) {
  if (latex.size() > kMaxMathValueBytes) {
    MathValue value;
    value.leaf = latex;
    return value;
  }
  return parse(simplified_latex(latex), 0);
}

Equality compare_values(const MathValue& prediction, const MathValue& gold) {
  if (prediction.kind != gold.kind || prediction.parts.size() != gold.parts.size()) {
    return Equality::kUnequal;
  }
  switch (gold.kind) {
    case Kind::kLeaf:
      return compare_leaves(prediction.leaf, gold.leaf);
    case Kind::kList:
    case Kind::kUnion:
      return compare_in_any_order(prediction, gold);
    case Kind::kTuple:
      if (prediction.open != gold.open || prediction.close != gold.close) {
        return Equality::kUnequal;
      }
      return compare_in_order(prediction, gold);
    case Kind::kMatrix:
      return compare_in_order(prediction, gold);
  }
  return Equality::kUnequal;
}

}  // namespace weft
