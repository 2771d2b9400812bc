#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "base/python_string.h"
#include "base/utf8.h"
#include "data/regex.h"
#include "data/scorers/score.h"
#include "data/scorers/words.h"

namespace weft {
namespace {

/// A text that Python's float() reads, which has a grammar of its own: blanks around, "_" between
/// digits, inf and nan; ASCII digits alone.
std::optional<double> python_float(std::string_view text) {
  static const Regex kNumber(
      R"(^\s*([-+]?(?:(?:[0-9](?:_?[0-9])*+\.?(?:[0-9](?:_?[0-9])*+)?|\.[0-9](?:_?[0-9])*+)(?:e[-+]?[0-9](?:_?[0-9])*+)?|inf|infinity|nan))\s*$)");
  constexpr size_t kLongest = 400;  // words are short, and longer numbers have no use
  if (text.size() > kLongest) return std::nullopt;
  const auto match = kNumber.match(text);
  if (!match) return std::nullopt;
  std::string digits = match->at(1);
  std::erase(digits, '_');
  return std::strtod(digits.c_str(), nullptr);
}

struct Span {
  std::string form;
  std::set<std::string, std::less<>> bag;
  std::set<std::string, std::less<>> numbers;
};

Span span_of(std::string_view text) {
  Span span;
  const std::string lower = python::lower(to_valid_utf8(text));
  size_t start = 0;
  while (start <= lower.size()) {
    const size_t end = std::min(lower.find_first_of(" -", start), lower.size());
    std::string token = lower.substr(start, end - start);
    start = end + 1;
    auto number = python_float(token);
    if (!number) {
      std::erase_if(token, is_ascii_punctuation);
      number = python_float(token);
    }
    const std::string kept = number ? fmt::format("{}", *number) : without_articles(token);
    for (const auto word : words_of(kept)) {
      span.form.append(span.form.empty() ? "" : " ").append(word);
      span.bag.emplace(word);
      if (number || python_float(word)) span.numbers.emplace(word);
    }
  }
  return span;
}

double span_f1(const Span& prediction, const Span& gold) {
  const auto common =
      static_cast<double>(std::count_if(gold.bag.begin(), gold.bag.end(), [&](const auto& word) {
        return prediction.bag.count(word) > 0;
      }));
  const auto share = [&](const Span& span) {
    return span.bag.empty() ? 1.0 : common / static_cast<double>(span.bag.size());
  };
  const bool numbers_met =
      gold.numbers.empty() ||
      std::any_of(gold.numbers.begin(), gold.numbers.end(),
                  [&](const auto& number) { return prediction.numbers.count(number) > 0; });
  const double precision = share(prediction), recall = share(gold);
  if (!numbers_met || precision + recall == 0) return 0;
  return 2 * precision * recall / (precision + recall);
}

/// The greatest sum of one-to-one pairs (Kuhn and Munkres, in the O(n^2 m) form with potentials).
/// `value` has at most as many rows as columns, none of them empty.
double best_assignment(const std::vector<std::vector<double>>& value) {
  const size_t rows = value.size(), columns = value[0].size();
  std::vector<double> row_potential(rows + 1), column_potential(columns + 1);
  std::vector<size_t> row_of(columns + 1, 0), way(columns + 1, 0);
  for (size_t row = 1; row <= rows; ++row) {
    std::vector<double> least(columns + 1, std::numeric_limits<double>::infinity());
    std::vector<bool> used(columns + 1, false);
    size_t column = 0;
    row_of[0] = row;
    while (row_of[column] != 0) {
      used[column] = true;
      size_t next = 0;
      double step = std::numeric_limits<double>::infinity();
      for (size_t c = 1; c <= columns; ++c) {
        if (used[c]) continue;
        const double cost =
            -value[row_of[column] - 1][c - 1] - row_potential[row_of[column]] - column_potential[c];
        if (cost < least[c]) least[c] = cost, way[c] = column;
        if (least[c] < step) step = least[c], next = c;
      }
      for (size_t c = 0; c <= columns; ++c) {
        if (used[c]) {
          row_potential[row_of[c]] += step;
          column_potential[c] -= step;
        } else {
          least[c] -= step;
        }
      }
      column = next;
    }
    for (; column != 0; column = way[column]) row_of[column] = row_of[way[column]];
  }
  double sum = 0;
  for (size_t c = 1; c <= columns; ++c) {
    if (row_of[c] != 0) sum += value[row_of[c] - 1][c - 1];
  }
  return sum;
}

/// F1 in hundredths of a percent, as the script rounds it.
double aligned_f1(const std::vector<Span>& prediction, const std::vector<Span>& gold) {
  const bool turned = gold.size() > prediction.size();
  const auto& few = turned ? prediction : gold;
  const auto& many = turned ? gold : prediction;
  std::vector<std::vector<double>> value(few.size(), std::vector<double>(many.size()));
  for (size_t i = 0; i < few.size(); ++i) {
    for (size_t j = 0; j < many.size(); ++j) {
      value[i][j] = turned ? span_f1(few[i], many[j]) : span_f1(many[j], few[i]);
    }
  }
  const double mean = best_assignment(value) / static_cast<double>(many.size());
  return std::round(mean * 10000) / 10000;
}

std::vector<Span> spans_of(std::string_view text, std::string_view separators) {
  std::vector<Span> spans;
  constexpr size_t kMost = 64;
  for (size_t start = 0; start <= text.size() && spans.size() < kMost;) {
    const size_t end = std::min(text.find_first_of(separators, start), text.size());
    const auto part = text.substr(start, end - start);
    if (!words_of(part).empty()) spans.push_back(span_of(part));
    start = end + 1;
  }
  if (spans.empty()) spans.push_back(span_of(text));
  return spans;
}

bool same_spans(const std::vector<Span>& a, const std::vector<Span>& b) {
  std::set<std::string> x, y;
  for (const auto& span : a) x.insert(span.form);
  for (const auto& span : b) y.insert(span.form);
  return a.size() == b.size() && x == y;
}

}  // namespace

TextScore score_drop(std::string_view prediction, std::string_view gold) {
  static const Regex kAnswer(R"((?i)answer\s*+:\s*+([^\n]++))");
  TextScore score;
  score.rule = "F1";
  score.exact_match = 0;
  std::string stated;
  if (const auto match = kAnswer.match(prediction)) prediction = stated = match->at(1);
  for (const auto reference : split_at(gold, '|')) {
    if (words_of(reference).empty()) continue;
    const auto wanted = spans_of(reference, "\n");
    const auto given =
        wanted.size() > 1 ? spans_of(prediction, "\n;") : std::vector<Span>{span_of(prediction)};
    score.score = std::max(score.score, aligned_f1(given, wanted));
    if (same_spans(given, wanted)) score.exact_match = 1;
  }
  return score;
}

}  // namespace weft
