#include "data/benchmarks/benchmark.h"

#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

struct Loader {
  const char* name;
  BenchmarkRow (*load)(RowFields& row);
  const char* licence;
};

constexpr Loader kLoaders[] = {
    {"humaneval", load_humaneval, "MIT"},
    {"humaneval_plus", load_humaneval_plus, "Apache-2.0"},
    {"bigcodebench", load_bigcodebench, "Apache-2.0"},
    {"mbpp", load_mbpp, "CC-BY-4.0"},
    {"mbpp_plus", load_mbpp_plus, "Apache-2.0"},
    {"livecodebench", load_livecodebench, "CC, by its page; the problems are their sites'"},
    {"codecontests", load_codecontests, "CC-BY-4.0"},
    {"apps", load_apps, "MIT"},
    {"taco", load_taco, "Apache-2.0"},
    {"gsm8k", load_gsm8k, "MIT"},
    {"gsm_hard", load_gsm_hard, "MIT"},
    {"math", load_math, "MIT"},
    {"math500", load_math500, "MIT"},
    {"aime", load_aime, "the problems are the MAA's"},
    {"hotpotqa", load_hotpotqa, "CC-BY-SA-4.0"},
    {"drop", load_drop, "CC-BY-SA-4.0"},
    {"mmlu", load_mmlu, "MIT"},
    {"mmlu_pro", load_mmlu_pro, "MIT"},
    {"gpqa", load_gpqa, "CC-BY-4.0; its authors ask not to publish the questions in plain text"},
    {"jsonl", load_generic, "yours"}};

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

std::string benchmark_licence(const std::string& dataset) { return loader_of(dataset)->licence; }

bool is_benchmark(const std::string& name) { return loader_of(name) != nullptr; }

BenchmarkRow parse_benchmark_row(const std::string& dataset, const Json& row,
                                 const std::string& where, int64_t index) {
  RowFields fields(row, where, index);
  const Loader* loader = loader_of(dataset);
  if (!loader) fields.fail("dataset: expected one of " + benchmark_names() + ", got " + dataset);
  BenchmarkRow parsed = loader->load(fields);
  parsed.unread = fields.unread(parsed.kind == TaskKind::kCode);
  return parsed;
}

}  // namespace weft
