#include "tests/sandbox/mixed_load.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(MixedLoad, HonestVerdictsStayAmongSomeHundredJobs) {
  test::expect_steady_mixed_load(200, 400);
}

}  // namespace
}  // namespace weft
