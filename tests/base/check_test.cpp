#include "base/check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/machine.h"
#include "base/memory.h"
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

TEST(Check, SizesAreBoundByTheMachine) {
  require_threads("threads", 0);
  require_threads("threads", max_threads());
  EXPECT_EQ(max_threads(), 16 * num_cores());
  EXPECT_EQ(test::input_error([] { require_threads("threads", 100000); }),
            "threads: expected 0 to " + std::to_string(max_threads()) +
                ", 16 for each of the machine's " + std::to_string(num_cores()) +
                " cores, got 100000");
  EXPECT_THROW(require_threads("threads", -1), InputError);
  const int64_t most = memory_limit() >> 20;
  require_memory_mb("memory_mb", most);
  EXPECT_EQ(test::input_error([&] { require_memory_mb("memory_mb", most + 1); }),
            "memory_mb: expected at most " + std::to_string(most) +
                ", the machine's memory in MiB, got " + std::to_string(most + 1));
}

TEST(Check, RefusesNaN) {
  EXPECT_THROW(require_at_least("x", std::nan(""), 0), InputError);
  EXPECT_THROW(require_above("x", std::nan(""), 0), InputError);
  EXPECT_THROW(require_share("x", std::nan("")), InputError);
}

}  // namespace
}  // namespace weft
