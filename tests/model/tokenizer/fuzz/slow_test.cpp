#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <random>

#include "tests/model/tokenizer/fuzz/mutator.h"
#include "tests/model/tokenizer/fuzz/targets.h"

namespace weft {
namespace {

TEST(JinjaFuzz, TenMinutesOfMutatedTemplatesEndInTextOrInputError) {
  const auto seed = std::random_device()();
  std::printf("seed %u\n", seed);  // what an abort would take along
  std::fflush(stdout);
  fuzz::TemplateMutator mutator(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(10);
  int64_t count = 0;
  for (; std::chrono::steady_clock::now() < end; ++count) fuzz::render_template(mutator.next());
  std::printf("%lld templates\n", static_cast<long long>(count));
  EXPECT_GT(count, 1000);
}

}  // namespace
}  // namespace weft
