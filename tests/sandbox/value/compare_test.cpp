#include "sandbox/value/compare.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace weft {
namespace {

bool equal(const std::string& got, const std::string& expected,
           const std::string& compare = "null") {
  const auto value = [](const std::string& text) {
    return value_from_json(parse_json(text, "t"), "t");
  };
  return Comparer::from_json(parse_json(compare, "t"), "t").equal(value(got), value(expected));
}

bool output_equal(const char* got, const char* expected, const std::string& compare = "null") {
  return OutputComparer::from_json(parse_json(compare, "t"), "t").equal(got, expected);
}

TEST(Comparer, ExactIsPythonsEquality) {
  EXPECT_TRUE(equal("1", "1.0"));
  EXPECT_TRUE(equal("true", "1"));
  EXPECT_TRUE(equal("-0.0", "0"));
  EXPECT_TRUE(equal(R"({"$set":[1,2]})", R"({"$frozenset":[2,1.0]})"));
  EXPECT_TRUE(equal(R"({"a":1,"b":2})", R"({"b":2,"a":true})"));
  EXPECT_TRUE(equal(R"({"$dict":[[1,2]]})", R"({"$dict":[[1.0,2]]})"));
  EXPECT_TRUE(equal(R"({"$complex":[1,0]})", "1"));
  EXPECT_FALSE(equal("[1]", R"({"$tuple":[1]})"));
  EXPECT_FALSE(equal(R"({"$float":"nan"})", R"({"$float":"nan"})"));
  EXPECT_FALSE(equal(R"("1")", "1"));
  EXPECT_FALSE(equal("null", "0"));
  EXPECT_FALSE(equal(R"({"a":1})", R"({"a":1,"b":2})"));
  EXPECT_FALSE(equal(R"("a")", R"({"$bytes":"YQ=="})"));
}

TEST(Comparer, ComparesLargeIntegersAndFloatsWithoutRounding) {
  EXPECT_FALSE(equal("9007199254740992.0", "9007199254740993"));
  EXPECT_TRUE(equal("1e30", R"({"$int":"1000000000000000019884624838656"})"));
  EXPECT_FALSE(equal("1e30", R"({"$int":"1000000000000000000000000000000"})"));
}

TEST(Comparer, FractionsEqualWhatTheyAreExactly) {
  EXPECT_TRUE(equal(R"({"$fraction":[1,2]})", "0.5"));
  EXPECT_TRUE(equal("-0.375", R"({"$fraction":[-3,8]})"));
  EXPECT_TRUE(equal(R"({"$fraction":[4,1]})", "4"));
  EXPECT_TRUE(equal(R"({"$fraction":[1,3]})", R"({"$fraction":[1,3]})"));
  EXPECT_TRUE(equal(R"({"$set":[{"$fraction":[1,4]}]})", R"({"$set":[0.25]})"));
  EXPECT_TRUE(equal("5.421010862427522e-20",  // 2^-64
                    R"({"$fraction":[1,{"$int":"18446744073709551616"}]})"));
  EXPECT_TRUE(equal(R"({"$complex":[0.5,0]})", R"({"$fraction":[1,2]})"));
  EXPECT_FALSE(equal(R"({"$fraction":[1,3]})", "0.3333333333333333"));
  EXPECT_FALSE(equal(R"({"$fraction":[1,10]})", "0.1"));
  EXPECT_FALSE(equal(R"({"$fraction":[1,2]})", R"({"$float":"nan"})"));
  EXPECT_FALSE(equal(R"({"$fraction":[1,2]})", R"("0.5")"));
  EXPECT_TRUE(equal(R"({"$fraction":[1,3]})", "0.3333", R"({"abs":1e-3})"));
  const std::string big = R"({"$int":"1)" + std::string(400, '0') + R"("})";
  EXPECT_TRUE(
      equal(R"({"$fraction":[)" + big + R"(,{"$int":"3)" + std::string(400, '0') + R"("}]})",
            "0.333333", R"({"rel":1e-5})"));
}

TEST(Comparer, DequesAndRangesEqualTheirLike) {
  EXPECT_TRUE(equal(R"({"$deque":[1,2]})", R"({"$deque":[1.0,2]})"));
  EXPECT_FALSE(equal(R"({"$deque":[1,2]})", "[1,2]"));
  EXPECT_TRUE(equal(R"({"$deque":[1,2]})", "[1,2]", R"("lenient_sequences")"));
  EXPECT_TRUE(equal(R"({"$deque":[2,1]})", "[1,2]", R"("multiset")"));
  EXPECT_TRUE(equal(R"({"$range":[0,5,2]})", R"({"$range":[0,6,2]})"));
  EXPECT_TRUE(equal(R"({"$range":[3,3,1]})", R"({"$range":[9,1,4]})"));
  EXPECT_TRUE(equal(R"({"$range":[4,5,1]})", R"({"$range":[4,0,-9]})"));
  EXPECT_TRUE(equal(R"({"$set":[{"$range":[0,5,2]}]})", R"({"$set":[{"$range":[0,6,2]}]})"));
  EXPECT_FALSE(equal(R"({"$range":[0,3,1]})", R"({"$range":[0,4,1]})"));
  EXPECT_FALSE(equal(R"({"$range":[0,3,1]})", "[0,1,2]"));
  EXPECT_FALSE(
      equal(R"({"$range":[-9223372036854775807,9223372036854775807,1]})", R"({"$range":[0,5,1]})"));
}

TEST(Comparer, LenientSequencesTakesTuplesForListsAtAnyDepth) {
  EXPECT_TRUE(equal(R"([{"$tuple":[1]}])", R"({"$tuple":[[1]]})", R"("lenient_sequences")"));
  EXPECT_FALSE(equal("[1,2]", "[2,1]", R"("lenient_sequences")"));
}

TEST(Comparer, MultisetIgnoresOrderButCounts) {
  EXPECT_TRUE(equal("[1,2,2]", "[2,1,2]", R"("multiset")"));
  EXPECT_FALSE(equal("[1,1,2]", "[2,1,2]", R"("multiset")"));
  EXPECT_FALSE(equal("[[1,2]]", "[[2,1]]", R"("multiset")"));
}

TEST(Comparer, ToleranceIsAbsoluteOrRelativeToTheExpectedValue) {
  EXPECT_TRUE(equal("[1.0000001,{\"a\":2}]", "[1,{\"a\":2.0}]", R"({"abs":1e-6})"));
  EXPECT_TRUE(equal("1000.5", "1000", R"({"rel":1e-3})"));
  EXPECT_FALSE(equal("1001.5", "1000", R"({"rel":1e-3})"));
  EXPECT_FALSE(equal(R"({"$float":"inf"})", "1", R"({"rel":1})"));
  EXPECT_FALSE(equal(R"({"$float":"nan"})", "1", R"({"abs":10})"));
}

TEST(Comparer, RefusesUnknownNames) {
  EXPECT_THROW(equal("1", "1", R"("fuzzy")"), InputError);
  EXPECT_THROW(equal("1", "1", R"({"epsilon":1})"), InputError);
  EXPECT_THROW(equal("1", "1", R"({"abs":-1})"), InputError);
  EXPECT_THROW(output_equal("1", "1", R"("multiset")"), InputError);
}

TEST(OutputComparer, TokensLinesAndExactDifferInWhiteSpace) {
  EXPECT_TRUE(output_equal("1  2\n3\n", "1 2 3"));
  EXPECT_FALSE(output_equal("1 2", "1 2 3"));
  EXPECT_TRUE(output_equal("a  \nb\n\n", "a\nb", R"("lines")"));
  EXPECT_FALSE(output_equal("a b", "a\nb", R"("lines")"));
  EXPECT_FALSE(output_equal("a\n", "a", R"("exact")"));
}

TEST(OutputComparer, ToleranceAppliesToDecimalTokensOnly) {
  EXPECT_TRUE(output_equal("x 0.3333334", "x 0.3333333", R"({"abs":1e-6})"));
  EXPECT_FALSE(output_equal("x 0.4", "x 0.3", R"({"abs":1e-6})"));
  EXPECT_FALSE(output_equal("1a", "1b", R"({"abs":10})"));
}

}  // namespace
}  // namespace weft
