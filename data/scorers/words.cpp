#include "data/scorers/words.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "base/python_string.h"
#include "base/utf8.h"
#include "data/regex.h"

namespace weft {
namespace {

bool is_article(std::string_view word) { return word == "a" || word == "an" || word == "the"; }

}  // namespace

bool is_ascii_punctuation(char c) {
  return static_cast<unsigned char>(c) < 0x80 && std::ispunct(static_cast<unsigned char>(c)) != 0;
}

std::vector<std::string_view> split_at(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    const auto length = static_cast<size_t>(c.length);
    if (python::is_space(c.code)) {
      if (at > start) words.push_back(text.substr(start, at - start));
      start = at + length;
    }
    at += length;
  }
  if (start < text.size()) words.push_back(text.substr(start));
  return words;
}

std::string without_articles(std::string_view text) {
  static const Regex kArticle(R"((*UCP)\b(?:a|an|the)\b)");
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || std::isspace(c) != 0);
  });
  if (!plain) return kArticle.replace(text, " ");
  std::string kept;
  for (const auto word : words_of(text)) {
    if (!is_article(word)) kept.append(word).append(" ");
  }
  return kept;
}

std::string squad_form(std::string_view text) {
  std::string bare = python::lower(to_valid_utf8(text));
  std::erase_if(bare, is_ascii_punctuation);
  const std::string kept = without_articles(bare);
  std::string form;
  for (const auto word : words_of(kept)) form.append(form.empty() ? "" : " ").append(word);
  return form;
}

double bag_f1(const std::vector<std::string_view>& prediction,
              const std::vector<std::string_view>& gold) {
  std::map<std::string_view, int> wanted;
  for (const auto word : gold) ++wanted[word];
  int common = 0;
  for (const auto word : prediction) {
    const auto found = wanted.find(word);
    if (found != wanted.end() && found->second-- > 0) ++common;
  }
  if (common == 0) return 0;
  const double precision = common / static_cast<double>(prediction.size());
  const double recall = common / static_cast<double>(gold.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace weft
