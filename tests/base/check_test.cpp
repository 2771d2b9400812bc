#include "base/check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

TEST(Check, TellsNameExpectedAndGot) {
  EXPECT_EQ(test::input_error([] { require_at_least("n", 0, 1); }),
            "n: expected at least 1, got 0");
  EXPECT_EQ(test::input_error([] { require_above("t", 0.0, 0); }),
            "t: expected more than 0.0, got 0.0");
  EXPECT_EQ(test::input_error([] { require_share("p", 1.5); }),
            "p: expected a number from 0 to 1, got 1.5");
}

TEST(Check, TakesTheBounds) {
  require_at_least("n", int64_t{1}, 1);
  require_above("t", 1e-9, 0);
  require_share("p", 0);
  require_share("p", 1);
}

TEST(Check, RefusesNaN) {
  EXPECT_THROW(require_at_least("x", std::nan(""), 0), InputError);
  EXPECT_THROW(require_above("x", std::nan(""), 0), InputError);
  EXPECT_THROW(require_share("x", std::nan("")), InputError);
}

}  // namespace
}  // namespace weft
