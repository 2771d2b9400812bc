#include "model/remote/secret.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace weft {
namespace {

TEST(Secret, IsTakenWithoutTheWhiteSpaceAroundIt) {
  EXPECT_EQ(Secret(" sk-7f3a\r\n", "key").key(), "sk-7f3a");
}

TEST(Secret, RefusesWhatWouldSplitAHeaderWithoutShowingIt) {
  for (const char* key : {"sk-7f3a\r\nX-Evil: 1", "sk-7f3a\tb", " \n",
                          "sk-7f3a\x7f"
                          "b"}) {
    try {
      Secret secret(key, "api_key_env: the environment variable K");
      ADD_FAILURE() << "taken: " << key;
    } catch (const InputError& error) {
      const std::string what = error.what();
      EXPECT_EQ(what.find("7f3a"), std::string::npos) << what;
      EXPECT_NE(what.find("environment variable K"), std::string::npos) << what;
    }
  }
}

TEST(Secret, IsTakenOutInEverySpelling) {
  const Secret secret("sk/\"7f&3a+", "key");
  for (const char* text : {"sk/\"7f&3a+", "sk/\\\"7f&3a+", "sk\\/\\\"7f&3a+", "sk%2F%227f%263a%2B",
                           "sk%2f%227f%263a%2b", "c2svIjdmJjNhKw=="}) {
    EXPECT_EQ(secret.scrub("a " + std::string(text) + " b"), "a *** b") << text;
  }
  EXPECT_EQ(Secret().scrub("as it is"), "as it is");
}

}  // namespace
}  // namespace weft
