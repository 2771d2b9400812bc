#include "sandbox/value/value.h"

#include <gtest/gtest.h>

#include <bit>

#include "base/error.h"

namespace weft {
namespace {

PythonValue parse(const std::string& json) { return value_from_json(parse_json(json, "t"), "t"); }

TEST(PythonValue, RoundTripsEveryTaggedFormThroughJson) {
  for (const std::string text :
       {R"(null)",
        R"(true)",
        R"(-3)",
        R"(1.5)",
        R"("a\nb")",
        R"([1,[2]])",
        R"({"a":1})",
        R"({"$tuple":[1,2]})",
        R"({"$set":[1]})",
        R"({"$frozenset":[1]})",
        R"({"$dict":[[1,"a"],[{"$tuple":[]},2]]})",
        R"({"$float":"nan"})",
        R"({"$float":"-inf"})",
        R"({"$int":"123456789012345678901234567890"})",
        R"({"$int":"-340282366920938463463374607431768211456"})",
        R"({"$int":"9007199254740993"})",
        R"({"$bytes":"AAEC/w=="})",
        R"({"$complex":[1.0,-2.0]})",
        R"({"$dict":[["$tuple",1]]})",
        R"({"$deque":[1,[2]]})",
        R"({"$range":[0,-5,-2]})",
        R"({"$fraction":[-1,3]})",
        R"({"$fraction":[{"$int":"123456789012345678901234567890"},7]})"}) {
    EXPECT_EQ(value_to_json(parse(text)).dump(), text);
  }
}

TEST(PythonValue, RefusesUnknownTagsAndWrongShapes) {
  for (const char* text :
       {R"({"$list":[1]})", R"({"$tuple":1})", R"({"$dict":[1]})", R"({"$int":"1x"})",
        R"({"$float":"1"})", R"({"$bytes":"*"})", R"({"$complex":[1]})", R"({"$deque":1})",
        R"({"$range":[1,2]})", R"({"$range":[1,2,0]})", R"({"$range":[1,2,0.5]})",
        R"({"$fraction":[1,0]})", R"({"$fraction":[1,-2]})", R"({"$fraction":[0.5,1]})"}) {
    EXPECT_THROW(parse(text), InputError) << text;
  }
}

TEST(PythonValue, PrintsWhatReprPrints) {
  EXPECT_EQ(python_literal(parse(R"([null,true,1.0,1e20,1.5e-7,"it's",{"$tuple":[1]}])")),
            "[None, True, 1.0, 1e+20, 1.5e-07, \"it's\", (1,)]");
  EXPECT_EQ(python_literal(parse(R"({"$set":[]})")), "set()");
  EXPECT_EQ(python_literal(parse(R"({"a":{"$bytes":"AGE="}})")), "{'a': b'\\x00a'}");
  EXPECT_EQ(python_literal(parse(R"("aaaaaaaaaa")"), 5), "'aaaa...");
}

TEST(PythonValue, ReadsIntegersAroundTheBordersOf64Bits) {
  EXPECT_EQ(python_int("9223372036854775807").kind, PythonValue::Kind::kInt);
  EXPECT_EQ(python_int("9223372036854775808").kind, PythonValue::Kind::kBigInt);
  EXPECT_EQ(python_int("-9223372036854775808").kind, PythonValue::Kind::kInt);
  EXPECT_EQ(python_int("-00000000000000000000000000012").number, -12);
  for (const std::string digits : {"9223372036854775808", "-9223372036854775809",
                                   "1000000000000000000000000000000000000000000000"}) {
    EXPECT_EQ(int_digits(python_int(digits)), digits);
  }
}

// Of integers whose digits are known in both bases: powers, and what lies beside them.
TEST(PythonValue, ConvertsIntegersOfAnySizeExactly) {
  for (const size_t zeros : {20, 719, 720, 721, 1440, 5000, 60000}) {
    const std::string power = "1" + std::string(zeros, '0'), below = std::string(zeros, '9');
    for (const std::string& digits : {power, below, "-" + power, "-" + below}) {
      EXPECT_EQ(int_digits(python_int(digits)), digits) << zeros;
    }
    // 10^zeros is odd x 2^zeros.
    const std::string& bytes = python_int(power).text;
    const size_t first = bytes.find_first_not_of('\0');
    EXPECT_EQ(8 * first + static_cast<size_t>(std::countr_zero(static_cast<uint8_t>(bytes[first]))),
              zeros);
  }
  PythonValue two_to_the_80000;
  two_to_the_80000.kind = PythonValue::Kind::kBigInt;
  two_to_the_80000.text = std::string(10000, '\0') + '\1';
  const std::string digits = int_digits(two_to_the_80000);
  EXPECT_EQ(digits.size(), 24083u);  // floor(80000 log10 2) + 1
  EXPECT_EQ(python_int(digits).text, two_to_the_80000.text);
}

TEST(PythonValue, RefusesIntegersOfMoreDigitsThanTheCap) {
  EXPECT_NO_THROW(python_int(std::string(100000, '7')));
  EXPECT_THROW(python_int(std::string(kMaxIntDigits + 1, '7')), InputError);
}

}  // namespace
}  // namespace weft
