// The sampling kernel's barriers: with all of them no access to shared memory races with another,
// and without any one of them some do.
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <source_location>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/ops/cuda/sample_body.h"
#include "tests/support/fiber_block.h"

namespace weft {
namespace {

using kernels::SampleArgs;

/// One thread's view of a block that passes over its barrier number `dropped`, and tells where in
/// the source each one lies. All memory that threads share is the block's.
class Barriers {
 public:
  template <class T>
  using Shared = test::FiberBlock::Shared<T>;

  Barriers(test::FiberBlock& block, int dropped, std::vector<std::string>& sites)
      : block_(block), dropped_(dropped), sites_(sites) {}

  int thread() const { return block_.thread(); }
  int size() const { return block_.size(); }
  int64_t x() const { return block_.x(); }
  int64_t y() const { return block_.y(); }
  int64_t grid_x() const { return block_.grid_x(); }
  template <class T>
  Shared<T> shared(int64_t byte) {
    return block_.shared<T>(byte);
  }
  uint32_t add_shared(Shared<uint32_t> p, uint32_t value) { return block_.add_shared(p, value); }
  void max_shared(Shared<uint32_t> p, uint32_t value) { block_.max_shared(p, value); }
  float load(const float* p) { return block_.load(p); }
  template <class T>
  T shuffle(T value, int lane) {
    return block_.shuffle(value, lane);
  }
  void sync(const std::source_location where = std::source_location::current()) {
    if (thread() == 0) {
      const std::string file = where.file_name();
      sites_.push_back(file.substr(file.rfind('/') + 1) + ":" + std::to_string(where.line()));
    }
    if (passed_++ != dropped_) block_.sync();
  }

 private:
  test::FiberBlock& block_;
  const int dropped_;
  std::vector<std::string>& sites_;
  int passed_ = 0;
};

struct Case {
  std::vector<float> logits;
  SampleArgs args;
};

constexpr int kNone = -1;

/// Draws without barrier `dropped`. Gives the barriers that were reached, and in `race` what was
/// found, if anything.
std::vector<std::string> draw(Case c, int threads, int dropped, std::string& race) {
  std::vector<std::string> sites;
  kernels::SampleResult result;
  c.args.logits = c.logits.data();
  c.args.size = static_cast<int64_t>(c.logits.size());
  test::FiberBlock block(threads);
  try {
    block.run({1, 1, 1}, cuda::kSampleShared, [&](test::FiberBlock& b) {
      Barriers barriers(b, dropped, sites);
      cuda::sample_body(barriers, cuda::SampleRows{&c.args, &result, 1});
    });
    EXPECT_TRUE(dropped != kNone || result.id >= 0);
  } catch (const std::logic_error& error) {
    race = error.what();
  }
  return sites;
}

std::vector<float> row(size_t size, double scale, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> logits(size);
  for (float& x : logits) x = static_cast<float>(scale * rng.normal());
  return logits;
}

/// Rows that take each way through the sampler: steep, flat, of equal weights, of weights that
/// hardly differ beside peaks; greedy, uncut, and cut by each parameter and by all.
std::vector<Case> cases(std::initializer_list<size_t> sizes) {
  std::vector<Case> all;
  for (const size_t size : sizes) {
    std::vector<std::vector<float>> rows = {row(size, 3, 1), row(size, 0.01, 2), row(size, 0, 3),
                                            row(size, 1e-6, 4)};
    for (size_t i = 0; i < 10 && i < size; ++i) {
      rows[3][(1999 * i) % size] = 6.0f + 0.5f * static_cast<float>(i);
    }
    for (const auto& logits : rows) {
      for (const SampleArgs& args :
           {SampleArgs{nullptr, 0, 0.5, 0, 1, 0, 0}, SampleArgs{nullptr, 0, 0.6, 1, 1, 0, 0},
            SampleArgs{nullptr, 0, 0.3, 0.7f, 0.9f, 0, 0}, SampleArgs{nullptr, 0, 0.99, 1, 1, 0, 7},
            SampleArgs{nullptr, 0, 0.4, 1, 1, 0.05f, 0},
            SampleArgs{nullptr, 0, 0.9999, 0.8f, 0.7f, 0.001f, 500}}) {
        all.push_back({logits, args});
      }
    }
  }
  return all;
}

void expect_no_race(int threads, std::initializer_list<size_t> sizes) {
  for (const Case& c : cases(sizes)) {
    std::string race;
    draw(c, threads, kNone, race);
    EXPECT_EQ(race, "") << threads << " threads, " << c.logits.size() << " logits";
  }
}

TEST(SamplerRaces, ThereAreNone) {
  expect_no_race(64, {1, 31, 1000, 4099});
  expect_no_race(512, {1000});
}

// What is found without a barrier is two threads at one word, or one that reads what is yet to be
// written. Two places only keep memory from being used again too early, and in no case here do
// threads come there that far apart.
TEST(SamplerRaces, WithoutOneBarrierThereAreSome) {
  std::map<std::string, std::string> found;  // by the place of the barrier that was dropped
  for (const Case& c : cases({1000, 20000})) {
    std::string race;
    const std::vector<std::string> sites = draw(c, 64, kNone, race);
    ASSERT_EQ(race, "");
    for (size_t i = 0; i < sites.size(); ++i) {
      std::string& known = found[sites[i]];
      if (known.empty()) draw(c, 64, static_cast<int>(i), known);
    }
  }
  std::vector<std::string> without;
  for (const auto& [site, race] : found) {
    if (race.empty()) without.push_back(site);
    EXPECT_TRUE(race.empty() || race.starts_with("shared memory, word")) << site << ": " << race;
  }
  EXPECT_GE(found.size(), 15u);
  EXPECT_LE(without.size(), 2u) << testing::PrintToString(without);
}

}  // namespace
}  // namespace weft
