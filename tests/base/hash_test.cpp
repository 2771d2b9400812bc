#include "base/hash.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

// Stores hold these hashes, so they may never change. Values from an independent Python version.
TEST(Hash, IsStableForEver) {
  EXPECT_EQ(hex64(hash64("")), "c3817c016ba4ff30");
  EXPECT_EQ(hex64(hash64("weft")), "48db2e6a6dd1b888");
  EXPECT_NE(hash64("weft"), hash64("weff"));
  EXPECT_NE(hash_combine(1, 2), hash_combine(2, 1));
}

}  // namespace
}  // namespace weft
