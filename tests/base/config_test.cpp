#include "base/config.h"

#include <gtest/gtest.h>

#include "tests/support/input_error.h"

namespace weft {
namespace {

enum class Shape { kRound, kSquare };
EnumTable<Shape> enum_table(Shape) {
  return {{Shape::kRound, "round"}, {Shape::kSquare, "square"}};
}

struct Inner {
  int64_t rank = 4;
  std::optional<double> alpha;
  template <class V>
  void visit(V& v) {
    v("rank", rank, "rank");
    v("alpha", alpha, "scale");
  }
  void validate() const {
    if (rank < 1) throw InputError("\"rank\" must be at least 1");
  }
};

struct Outer {
  double lr = 0.5;
  std::string name = "x";
  Shape shape = Shape::kRound;
  std::vector<std::string> words = {"a"};
  Inner inner;
  template <class V>
  void visit(V& v) {
    v("lr", lr, "learning rate");
    v("name", name, "name");
    v("shape", shape, "shape");
    v("words", words, "words");
    v("inner", inner, "inner part");
  }
};

std::string error_of(const char* text) {
  return test::input_error([&] { load_config<Outer>(parse_json(text, "test")); });
}

TEST(Config, FillsGivenKeysAndKeepsTheOtherDefaults) {
  const auto config = load_config<Outer>(
      parse_json(R"({"shape": "square", "inner": {"alpha": 2}, "lr": 1})", "test"));
  EXPECT_EQ(config.shape, Shape::kSquare);
  EXPECT_EQ(config.inner.alpha, 2.0);
  EXPECT_EQ(config.inner.rank, 4);
  EXPECT_EQ(config.lr, 1.0);
  EXPECT_EQ(config.name, "x");
}

TEST(Config, RoundTripsThroughJson) {
  Outer config;
  config.inner.alpha = 0.25;
  config.words = {"p", "q"};
  const Json json = config_to_json(config);
  EXPECT_EQ(json.dump(), R"({"lr":0.5,"name":"x","shape":"round","words":["p","q"],)"
                         R"("inner":{"rank":4,"alpha":0.25}})");
  EXPECT_EQ(config_to_json(load_config<Outer>(json)), json);
}

TEST(Config, RefusesUnknownKeysWithTheNearestKnownOne) {
  EXPECT_EQ(error_of(R"({"inner": {"rnak": 3}})"),
            "config: unknown key \"inner.rnak\" (did you mean \"rank\"?)");
}

TEST(Config, FindsKeysThatStandInAnotherObject) {
  // In an object inside, in the one around; a short name only where it is the same.
  EXPECT_EQ(error_of(R"({"rank": 3})"),
            "config: unknown key \"rank\" (did you mean \"inner.rank\"?)");
  EXPECT_EQ(error_of(R"({"aplha": 3})"),
            "config: unknown key \"aplha\" (did you mean \"inner.alpha\"?)");
  EXPECT_EQ(error_of(R"({"inner": {"shape": "round"}})"),
            "config: unknown key \"inner.shape\" (did you mean \"shape\"?)");
  EXPECT_EQ(error_of(R"({"inner": {"lr": 1}})"),
            "config: unknown key \"inner.lr\" (did you mean \"lr\"?)");
  EXPECT_EQ(error_of(R"({"inner": {"ln": 1}})"),
            "config: unknown key \"inner.ln\" (did you mean \"rank\"?)");
}

TEST(Config, TakesOneStringForAListOfThem) {
  const auto config = load_config<Outer>({{"words", "b"}});
  EXPECT_EQ(config.words, std::vector<std::string>{"b"});
  EXPECT_EQ(error_of(R"({"words": 1})"), "config: \"words\": expected an array, got 1");
}

TEST(Config, RefusesCountsThatNobodyMeans) {
  EXPECT_EQ(load_config<Outer>({{"inner", {{"rank", 100000000000}}}}).inner.rank, 100000000000);
  EXPECT_EQ(error_of(R"({"inner": {"rank": 100000000001}})"),
            "config: \"inner.rank\": expected at most 100000000000, got 100000000001");
}

TEST(Config, NamesThePathOfAWrongType) {
  EXPECT_EQ(error_of(R"({"inner": {"rank": 1.5}})"),
            "config: \"inner.rank\": expected an integer, got 1.5");
  EXPECT_EQ(error_of(R"({"shape": "oval"})"),
            "config: \"shape\": expected one of round, square, got \"oval\"");
  EXPECT_EQ(error_of(R"({"words": [1]})"), "config: \"words\": expected an array, got [1]");
}

TEST(Config, ValidatesNestedStructsWithTheirPath) {
  EXPECT_EQ(error_of(R"({"inner": {"rank": 0}})"), "inner: \"rank\" must be at least 1");
}

TEST(Config, OverridesReachNestedKeysAndFallBackToText) {
  Json json = Json::object();
  apply_override(json, "inner.rank=9");
  apply_override(json, "name=hello world");
  EXPECT_EQ(json.dump(), R"({"inner":{"rank":9},"name":"hello world"})");
  EXPECT_THROW(apply_override(json, "no-equals-sign"), InputError);
  EXPECT_THROW(apply_override(json, "name.x=1"), InputError);
}

TEST(Config, DescribesEveryKey) {
  const auto text = describe_config<Outer>();
  EXPECT_NE(text.find("lr"), std::string::npos);
  EXPECT_NE(text.find("    rank"), std::string::npos) << text;
}

}  // namespace
}  // namespace weft
