#include "sandbox/value/value.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace weft {
namespace {

PythonValue parse(const std::string& json) { return value_from_json(parse_json(json, "t"), "t"); }

TEST(PythonValue, RoundTripsEveryTaggedFormThroughJson) {
  for (const std::string text :
       {R"(null)", R"(true)", R"(-3)", R"(1.5)", R"("a\nb")", R"([1,[2]])", R"({"a":1})",
        R"({"$tuple":[1,2]})", R"({"$set":[1]})", R"({"$frozenset":[1]})",
        R"({"$dict":[[1,"a"],[{"$tuple":[]},2]]})", R"({"$float":"nan"})", R"({"$float":"-inf"})",
        R"({"$int":"123456789012345678901234567890"})",
        R"({"$int":"-340282366920938463463374607431768211456"})", R"({"$int":"9007199254740993"})",
        R"({"$bytes":"AAEC/w=="})", R"({"$complex":[1.0,-2.0]})", R"({"$dict":[["$tuple",1]]})"}) {
    EXPECT_EQ(value_to_json(parse(text)).dump(), text);
  }
}

TEST(PythonValue, RefusesUnknownTagsAndWrongShapes) {
  for (const char* text :
       {R"({"$list":[1]})", R"({"$tuple":1})", R"({"$dict":[1]})", R"({"$int":"1x"})",
        R"({"$float":"1"})", R"({"$bytes":"*"})", R"({"$complex":[1]})"}) {
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

}  // namespace
}  // namespace weft
