#include "sandbox/value/wire.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace weft {
namespace {

TEST(Wire, RoundTripsEveryKind) {
  const auto value = value_from_json(
      parse_json(R"([null,true,-1,{"$int":"-99999999999999999999"},1.5,"é",{"$bytes":"AA=="},
                     {"$tuple":[1]},{"$set":[1]},{"$frozenset":[]},{"$dict":[[1,2]]},{"$complex":[1,2]},
                     {"$deque":[[]]},{"$range":[1,-5,-2]},{"$fraction":[{"$int":"-99999999999999999999"},3]}])",
                 "t"),
      "t");
  std::string bytes;
  encode_value(value, bytes);
  const auto decoded = decode_value(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(value_to_json(*decoded), value_to_json(value));
}

TEST(Wire, RefusesCutTrailingAndUnknownBytes) {
  std::string bytes;
  encode_value(PythonValue::list({PythonValue::str("abc"), PythonValue::integer(7)}), bytes);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_value(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_value(bytes + "N"));
  EXPECT_FALSE(decode_value("x"));
  EXPECT_FALSE(decode_value(std::string("I\0\0\0\0", 5)));
}

TEST(Wire, RefusesCountsThatTheBytesCannotHold) {
  EXPECT_FALSE(decode_value(std::string("l\xff\xff\xff\xff", 5)));
  EXPECT_FALSE(decode_value(std::string("D\xff\xff\xff\x7fN", 6)));
  EXPECT_FALSE(
      decode_value(std::string("s\xff\xff\xff\xff"
                               "a",
                               6)));
}

TEST(Wire, RefusesWhatIsNoRangeAndNoFraction) {
  std::string bytes;
  encode_value(value_from_json(parse_json(R"({"$range":[1,2,3]})", "t"), "t"), bytes);
  ASSERT_TRUE(decode_value(bytes));
  bytes.replace(17, 8, std::string(8, '\0'));  // the step
  EXPECT_FALSE(decode_value(bytes));
  const auto fraction = [](const PythonValue& numerator, const PythonValue& denominator) {
    std::string text = "R";
    encode_value(numerator, text);
    encode_value(denominator, text);
    return decode_value(text).has_value();
  };
  const auto one = PythonValue::integer(1);
  EXPECT_TRUE(fraction(one, PythonValue::integer(2)));
  EXPECT_FALSE(fraction(one, PythonValue::integer(0)));
  EXPECT_FALSE(fraction(one, PythonValue::integer(-2)));
  EXPECT_FALSE(fraction(PythonValue::real_number(1), one));
  EXPECT_FALSE(fraction(one, PythonValue::list({})));
}

TEST(Wire, RefusesDepthOverTheCap) {
  std::string deep;
  for (int i = 0; i <= kMaxValueDepth; ++i) deep += std::string("l\1\0\0\0", 5);
  EXPECT_FALSE(decode_value(deep + "N"));
}

TEST(Wire, SurvivesRandomBytes) {
  Rng rng(5);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(rng.below(40), '\0');
    for (char& c : bytes) {
      c = rng.uniform() < 0.5 ? "NTFiIdcsbltSZDqrR"[rng.below(17)]
                              : static_cast<char>(rng.below(256));
    }
    if (const auto value = decode_value(bytes)) python_literal(*value);
  }
}

TEST(FrameReader, JoinsPiecesAndRefusesLongOrUnknownFrames) {
  FrameReader reader;
  Frame frame;
  const std::string bytes = make_frame(FrameType::kValue, 7, PythonValue::str("hello"));
  for (const char c : bytes.substr(0, bytes.size() - 1)) {
    reader.append(&c, 1);
    EXPECT_EQ(reader.next(frame), FrameReader::Next::kMore);
  }
  reader.append(&bytes.back(), 1);
  ASSERT_EQ(reader.next(frame), FrameReader::Next::kFrame);
  EXPECT_EQ(frame.id, 7u);
  EXPECT_EQ(decode_value(frame.body)->text, "hello");

  const FrameHeader long_frame{1u << 30, FrameType::kValue, 0};
  reader.append(reinterpret_cast<const char*>(&long_frame), sizeof long_frame);
  EXPECT_EQ(reader.next(frame), FrameReader::Next::kMalformed);
  FrameReader other;
  const FrameHeader unknown{0, static_cast<FrameType>(99), 0};
  other.append(reinterpret_cast<const char*>(&unknown), sizeof unknown);
  EXPECT_EQ(other.next(frame), FrameReader::Next::kMalformed);
}

}  // namespace
}  // namespace weft
