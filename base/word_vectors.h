/// Texts as vectors of their words, for similarity without a model.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace weft {

/// Weight by word, of length 1; empty for a text without words.
using WordVector = std::map<std::string, double>;

/// Cosine of two texts' vectors, in [0, 1]; 0 where one has no words.
double cosine(const WordVector& a, const WordVector& b);

/// tf-idf over runs of ASCII letters, digits and _, case folded: tf = 1 + ln(count), idf = ln((1 +
/// N) / (1 + df)) + 1 with df the number of the N texts that have the word. Immutable after
/// construction; any thread.
///
/// Source: Salton and Buckley, Inf. Process. Manag. 24, 513 (1988); the smoothed idf is
/// scikit-learn's.
class WordVectors {
 public:
  explicit WordVectors(const std::vector<std::string>& texts);

  /// A word that none of the texts has counts as one that none of N has.
  WordVector embed(const std::string& text) const;

 private:
  std::map<std::string, double> idf_;
  double unseen_;
};

}  // namespace weft
