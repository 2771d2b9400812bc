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
