/// Templates made of pieces of other templates.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace weft::fuzz {

/// Owns its seeds: the templates of the fixtures and of the corpus.
class TemplateMutator {
 public:
  explicit TemplateMutator(uint64_t seed);

  const std::vector<std::string>& seeds() const { return seeds_; }
  /// A seed after 1 to 8 changes: pieces cut, doubled, exchanged with other seeds', and words of
  /// the language put in.
  std::string next();

 private:
  size_t below(size_t bound);
  std::string piece_of(const std::string& text);
  void change(std::string& text);

  std::mt19937_64 random_;
  std::vector<std::string> seeds_;
};

}  // namespace weft::fuzz
