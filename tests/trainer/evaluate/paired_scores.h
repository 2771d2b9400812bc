/// 0/1 scores of two methods on the same tasks, by how often each pair of them comes.
#pragma once

#include <cstddef>
#include <vector>

namespace weft::test {

struct PairedScores {
  std::vector<double> a, b;
};

/// With these counts of (1,1), (1,0), (0,1) and (0,0).
inline PairedScores paired_scores(int both, int only_a, int only_b, int neither) {
  PairedScores scores;
  const auto add = [&](int count, double in_a, double in_b) {
    scores.a.insert(scores.a.end(), size_t(count), in_a);
    scores.b.insert(scores.b.end(), size_t(count), in_b);
  };
  add(both, 1, 1);
  add(only_a, 1, 0);
  add(only_b, 0, 1);
  add(neither, 0, 0);
  return scores;
}

}  // namespace weft::test
