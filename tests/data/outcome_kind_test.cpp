#include "data/outcome_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/input_error.h"

namespace weft {
namespace {

TEST(OutcomeKind, EachHasAWordThatIsReadBack) {
  for (const auto& [kind, name] : enum_table(OutcomeKind())) {
    EXPECT_STREQ(outcome_name(kind), name);
    EXPECT_EQ(parse_outcome(name, "here"), kind);
  }
}

TEST(OutcomeKind, AnotherWordIsRefusedWithTheChoices) {
  EXPECT_THAT(test::input_error([] { parse_outcome("lost", "rows.jsonl:3: status"); }),
              testing::AllOf(testing::HasSubstr("rows.jsonl:3: status: expected one of scored, "),
                             testing::HasSubstr("infrastructure, got \"lost\"")));
}

}  // namespace
}  // namespace weft
