#include "base/reasons.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Reasons, PlacesAndGivenValuesDoNotMakeAnotherReason) {
  EXPECT_EQ(reason_of("does not parse: invalid syntax (line 3)"), "does not parse: invalid syntax");
  EXPECT_EQ(reason_of("KeyError: 'a' (line 12, in __call__)"), "KeyError: 'a'");
  EXPECT_EQ(reason_of("expected ```python, got ```"), "expected ```python");
  EXPECT_EQ(reason_of("2300 bytes of code, at most 2000 are allowed"),
            reason_of("2301 bytes of code, at most 2000 are allowed"));
  EXPECT_EQ(reason_of("worker: HTTP 503: busy\nRetry-After: 1"), "worker: HTTP 503: busy");
}

TEST(Reasons, CutCompletionIsNamedByTheLimitAlone) {
  EXPECT_EQ(reason_of("the ```python block is not closed (cut at meta_max_tokens)"),
            "cut at meta_max_tokens");
  EXPECT_EQ(reason_of("does not parse: '(' was never closed (line 9) (cut at meta_max_tokens)"),
            "cut at meta_max_tokens");
}

TEST(Reasons, LongReasonIsCutAtAWholeCharacter) {
  std::string text;
  while (text.size() < 200) text += "\xc3\xa4";
  const std::string reason = reason_of("x" + text);
  EXPECT_LE(reason.size(), 120u);
  EXPECT_EQ(Json(reason).dump(), "\"" + reason + "\"");
}

TEST(Reasons, MostFrequentComesFirstAndTheRestIsCounted) {
  ReasonCounts counts;
  EXPECT_TRUE(counts.empty());
  for (const char* error : {"b", "a", "c", "c", "d"}) counts.add(error);
  EXPECT_EQ(counts.to_json(2).dump(), R"({"c":2,"a":1,"other reasons":2})");
  EXPECT_EQ(counts.to_string(1), "2 x c, 3 x other reasons");
  EXPECT_EQ(counts.to_json().dump(), R"({"c":2,"a":1,"b":1,"d":1})");
}

TEST(Reasons, FailureWithoutATextIsCountedToo) {
  ReasonCounts counts;
  counts.add("");
  EXPECT_EQ(counts.to_string(), "1 x unknown");
}

}  // namespace
}  // namespace weft
