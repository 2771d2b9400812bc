#include <gtest/gtest.h>

#include "tests/sandbox/mixed_load.h"

namespace weft {
namespace {

TEST(MixedLoad, HonestVerdictsStayAmongTenThousandJobs) {
  test::expect_steady_mixed_load(1000, 10000);
}

}  // namespace
}  // namespace weft
