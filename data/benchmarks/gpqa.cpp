#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "data/benchmarks/choices.h"
#include "data/benchmarks/loaders.h"

namespace weft {

// The file names the right answer; the order of the options is a function of the row's id, so that
// no letter is more often right.
BenchmarkRow load_gpqa(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.id_or_index({"Record ID", "id"}, "gpqa");
  const std::vector<std::string> published = {
      trimmed(row.text("Correct Answer")), trimmed(row.text("Incorrect Answer 1")),
      trimmed(row.text("Incorrect Answer 2")), trimmed(row.text("Incorrect Answer 3"))};
  std::vector<size_t> order(published.size());
  std::iota(order.begin(), order.end(), 0);
  uint64_t state = hash64(parsed.id);
  for (size_t i = order.size() - 1; i > 0; --i) {
    state = hash_combine(state, i);
    std::swap(order[i], order[state % (i + 1)]);
  }
  std::vector<std::string> options;
  for (const size_t i : order) options.push_back(published[i]);
  const auto right = std::find(order.begin(), order.end(), size_t{0}) - order.begin();
  set_choices(parsed, row, trimmed(row.text("Question")), options, static_cast<size_t>(right));
  parsed.meta = row.some({"High-level domain", "Subdomain"});
  return parsed;
}

}  // namespace weft
