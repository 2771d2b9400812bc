/// The search methods that keep whole workflows: AFlow's tree, ADAS' archive, independent drafts.
/// What each takes from its source and what not is said at make_search_method.
#pragma once

#include <string>
#include <vector>

#include "trainer/search/methods.h"

namespace weft {

/// A workflow that later rounds may look at.
struct ArchiveEntry {
  Candidate candidate;
  int64_t row = 0;
  int64_t parent = -1;  ///< index in the archive; -1: none
  double reward = 0, deviation = 0;
  std::string feedback;

  static ArchiveEntry of(const Sampled& sampled, int64_t parent);
  Json to_json() const;
  static ArchiveEntry from_json(const Json& json);
};

/// Rounds done and the archive; what the three have in common.
class ArchiveSearch : public SearchMethod {
 public:
  ArchiveSearch(std::string method, Evaluator& evaluator);
  Json state() const override;
  void restore(const Json& state) override;

 protected:
  uint64_t seed_of(const char* what, int64_t index = 0) const;
  RoundReport report(const std::vector<Sampled>& sampled) const;

  Evaluator& evaluator_;
  std::vector<ArchiveEntry> archive_;
  int64_t round_ = 0;

 private:
  std::string method_;
};

class AflowSearch : public ArchiveSearch {
 public:
  AflowSearch(const AflowOptions& options, Evaluator& evaluator);
  bool finished() const override;
  RoundReport run_round() override;

 private:
  size_t draw_parent() const;
  std::string experience(size_t parent) const;
  Candidate edit(size_t parent);
  AflowOptions options_;
};

class AdasSearch : public ArchiveSearch {
 public:
  AdasSearch(const AdasOptions& options, Evaluator& evaluator);
  bool finished() const override;
  RoundReport run_round() override;

 private:
  std::string archive_text() const;
  AdasOptions options_;
};

class RandomSearch : public ArchiveSearch {
 public:
  RandomSearch(const RandomOptions& options, Evaluator& evaluator);
  bool finished() const override;
  RoundReport run_round() override;

 private:
  RandomOptions options_;
};

}  // namespace weft
