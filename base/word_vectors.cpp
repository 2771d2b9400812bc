#include "base/word_vectors.h"

#include <algorithm>
#include <cctype>
#include <cmath>

namespace weft {
namespace {

std::map<std::string, int> count_words(const std::string& text) {
  std::map<std::string, int> counts;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      ++counts[word];
      word.clear();
    }
  }
  return counts;
}

}  // namespace

double cosine(const WordVector& a, const WordVector& b) {
  double sum = 0;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    const int order = i->first.compare(j->first);
    if (order == 0) sum += i->second * j->second;
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  return std::min(1.0, sum);
}

WordVectors::WordVectors(const std::vector<std::string>& texts)
    : unseen_(std::log(1 + static_cast<double>(texts.size())) + 1) {
  for (const auto& text : texts) {
    for (const auto& [word, count] : count_words(text)) idf_[word] += 1;
  }
  const auto num_texts = static_cast<double>(texts.size());
  for (auto& [word, weight] : idf_) weight = std::log((1 + num_texts) / (1 + weight)) + 1;
}

WordVector WordVectors::embed(const std::string& text) const {
  WordVector vector;
  double squares = 0;
  for (const auto& [word, count] : count_words(text)) {
    const auto found = idf_.find(word);
    const double weight = (1 + std::log(static_cast<double>(count))) *
                          (found == idf_.end() ? unseen_ : found->second);
    vector[word] = weight;
    squares += weight * weight;
  }
  for (auto& [word, weight] : vector) weight /= std::sqrt(squares);
  return vector;
}

}  // namespace weft
