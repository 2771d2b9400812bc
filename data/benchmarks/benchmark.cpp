#include "data/benchmarks/benchmark.h"

#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

struct Loader {
  const char* name;
  BenchmarkRow (*load)(RowFields& row);
};

constexpr Loader kLoaders[] = {{"humaneval", load_humaneval},
                               {"humaneval_plus", load_humaneval_plus},
                               {"mbpp", load_mbpp},
                               {"mbpp_plus", load_mbpp_plus}};

const Loader* loader_of(const std::string& name) {
  for (const Loader& loader : kLoaders) {
    if (name == loader.name) return &loader;
  }
  return nullptr;
}

}  // namespace

std::string benchmark_names() {
  std::string names;
  for (const Loader& loader : kLoaders)
    names += (names.empty() ? "" : ", ") + std::string(loader.name);
  return names;
}

bool is_benchmark(const std::string& name) { return loader_of(name) != nullptr; }

BenchmarkRow parse_benchmark_row(const std::string& dataset, const Json& row,
                                 const std::string& where) {
  RowFields fields(row, where);
  const Loader* loader = loader_of(dataset);
  if (!loader) fields.fail("dataset: expected one of " + benchmark_names() + ", got " + dataset);
  BenchmarkRow parsed = loader->load(fields);
  parsed.unread = fields.unread();
  return parsed;
}

}  // namespace weft
