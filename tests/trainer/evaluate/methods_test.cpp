#include "trainer/evaluate/methods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"

namespace weft {
namespace {

TEST(Methods, NameComesFromTheSpec) {
  EXPECT_EQ(parse_method("cot_sc").name, "cot_sc");
  EXPECT_EQ(parse_method("io_greedy").name, "io_greedy");
  EXPECT_EQ(parse_method("workflow:a/best_fixed.py").name, "best_fixed");
  EXPECT_EQ(parse_method("meta:runs/grpo/").name, "grpo");
  EXPECT_EQ(parse_method("hybrid:s.sqlite,runs/grpo").name, "hybrid");
  EXPECT_EQ(parse_method("shuffled:grpo").name, "shuffled_grpo");
  EXPECT_EQ(parse_method("samples:runs/codegen.jsonl").name, "codegen");
  EXPECT_EQ(parse_method("samples:codegen.v2.jsonl.gz").name, "codegen.v2");
  EXPECT_EQ(parse_method("samples:codegen.jsonl").kind, MethodKind::kSamples);
}

TEST(Methods, NameBeforeTheSpecWins) {
  const Method method = parse_method("grpo=meta:runs/a=b/checkpoints/step_8");
  EXPECT_EQ(method.name, "grpo");
  EXPECT_EQ(method.kind, MethodKind::kMeta);
  EXPECT_EQ(method.source, "runs/a=b/checkpoints/step_8");
}

TEST(Methods, EqualsSignInAPathIsNoName) {
  EXPECT_EQ(parse_method("meta:runs/lr=1").source, "runs/lr=1");
}

TEST(Methods, HybridHasAStoreAndAModel) {
  const Method method = parse_method("h=hybrid:search/store.sqlite,runs/grpo");
  EXPECT_EQ(method.store, "search/store.sqlite");
  EXPECT_EQ(method.source, "runs/grpo");
}

TEST(Methods, BadSpecsAreNamed) {
  for (const char* text :
       {"", "best", "meta:", "hybrid:only_one", "hybrid:,dir", "model:x", "a="}) {
    EXPECT_THROW(parse_method(text), InputError) << text;
  }
}

TEST(Methods, RefuseTheSameNameTwice) {
  EXPECT_THROW(parse_methods({"meta:a/x", "meta:b/x"}), InputError);
}

TEST(Methods, ShuffledNeedsAMetaMethodOfTheList) {
  EXPECT_THROW(parse_methods({"io", "shuffled:io"}), InputError);
  EXPECT_THROW(parse_methods({"io", "shuffled:grpo"}), InputError);
  EXPECT_EQ(parse_methods({"grpo=meta:x", "shuffled:grpo"}).size(), 2u);
}

TEST(Methods, EmptyListIsRefused) { EXPECT_THROW(parse_methods({}), InputError); }

TEST(Derangement, MovesEveryElement) {
  for (size_t n : {2, 3, 10, 101}) {
    const auto order = derangement(n, 5);
    for (size_t i = 0; i < n; ++i) EXPECT_NE(order[i], i);
    auto sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(sorted[i], i);
  }
}

TEST(Derangement, DependsOnTheSeedOnly) {
  EXPECT_EQ(derangement(50, 1), derangement(50, 1));
  EXPECT_NE(derangement(50, 1), derangement(50, 2));
}

TEST(Derangement, OneTaskHasNone) { EXPECT_THROW(derangement(1, 0), InputError); }

}  // namespace
}  // namespace weft
