#include "base/known_fields.h"

#include <gtest/gtest.h>

#include "tests/support/input_error.h"

namespace weft {
namespace {

const FieldNames kKnown = {"id", "max_tokens", "temperature", "n"};

std::string error_of(const Json& object) {
  return test::input_error([&] { refuse_unknown_fields(object, kKnown, "f:3"); });
}

TEST(KnownFields, AnUnknownOneIsRefusedWithTheOneThatWasMeant) {
  EXPECT_EQ(error_of({{"id", 1}, {"temperature", 0}}), "no error");
  EXPECT_EQ(error_of({{"max_token", 5}}),
            "f:3: unknown key \"max_token\" (did you mean \"max_tokens\"?)");
  EXPECT_EQ(error_of({{"temprature", nullptr}}),
            "f:3: unknown key \"temprature\" (did you mean \"temperature\"?)");
  EXPECT_EQ(error_of({{"colour", 5}}),
            "f:3: unknown key \"colour\", expected id, max_tokens, temperature, n");
  EXPECT_EQ(error_of(Json::array()), "f:3: expected an object, got an array");
}

TEST(KnownFields, MetaIsTheWritersOwn) {
  EXPECT_EQ(error_of({{"meta", {{"max_token", 5}}}}), "no error");
}

TEST(KnownFields, FurtherOnesAreCountedAndMisspeltOnesRefused) {
  FieldCounts further;
  for (int i = 0; i < 2; ++i) {
    count_further_fields({{"id", 1}, {"source", "x"}, {"rank", nullptr}, {"meta", 1}}, kKnown,
                         "f:3", further);
  }
  count_further_fields({{"rank", 1}}, kKnown, "f:4", further, "message.");
  EXPECT_EQ(list_fields(further), "message.rank (1), source (2)");
  EXPECT_EQ(test::input_error([&] {
              count_further_fields({{"max_tokns", 1}}, kKnown, "f:5", further);
            }),
            "f:5: field \"max_tokns\" is unknown (did you mean \"max_tokens\"?)");
}

}  // namespace
}  // namespace weft
