// The corpus, and a fixed choice of mutations.
#include <gtest/gtest.h>

#include "tests/model/tokenizer/fuzz/mutator.h"
#include "tests/model/tokenizer/fuzz/targets.h"

namespace weft {
namespace {

TEST(JinjaFuzz, TheCorpusAndItsMutationsEndInTextOrInputError) {
  fuzz::TemplateMutator mutator(1);
  for (const std::string& seed : mutator.seeds()) fuzz::render_template(seed);
  EXPECT_GE(mutator.seeds().size(), 100u);
  for (int i = 0; i < 3000; ++i) fuzz::render_template(mutator.next());
}

}  // namespace
}  // namespace weft
