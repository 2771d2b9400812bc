#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/base64.h"
#include "base/file.h"
#include "tests/support/config_sizes.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"
#include "trainer/evaluate/estimate_program.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

Json answer(const std::string& row) { return estimate_row(parse_json(row, "row"), {}, "F:3"); }

std::string refusal(const std::string& row) {
  return test::input_error([&] { answer(row); });
}

TEST(EstimateProgram, AMeanNamesItsMethodAndTheNumberOfTasks) {
  const Json json = answer(R"({"id": "a", "values": [0, 0, 0, 0, 0, 0, 0, 0, null], "meta": 1})");
  EXPECT_EQ(json["id"], "a");
  EXPECT_EQ(json["n"], 8);
  EXPECT_EQ(json["ci_method"], "wilson");
  EXPECT_NEAR(json["ci95"][1].get<double>(), 0.3244, 1e-4);
  EXPECT_FALSE(json.contains("reading"));
}

TEST(EstimateProgram, ADifferenceHasAReading) {
  const Json json =
      answer(R"({"id": "a", "values": [[1, 1], [1, null]], "minus": [[0, 0], [1, 1]]})");
  EXPECT_EQ(json["n"], 2);
  EXPECT_NEAR(json["mean"].get<double>(), 2.0 / 3, 1e-12);
  EXPECT_EQ(json["ci_method"], "score_bound");
  EXPECT_EQ(json["reading"], "inconclusive");
  EXPECT_THAT(json["ci_note"].get<std::string>(), HasSubstr("too few"));
}

TEST(EstimateProgram, TheStrongestOfAClassIsNamed) {
  const Json json = answer(
      R"({"id": "a", "values": [1, 1], "minus_strongest": [{"name": "x", "values": [0, 0]},
          {"name": "y", "values": [0, 1]}]})");
  EXPECT_EQ(json["against"], "y");
  EXPECT_EQ(json["among"], Json({"x", "y"}));
  EXPECT_DOUBLE_EQ(json["mean"].get<double>(), 0.5);
}

TEST(EstimateProgram, NoValuesAreNull) {
  const Json json = answer(R"({"id": "a", "values": []})");
  EXPECT_EQ(json["n"], 0);
  EXPECT_TRUE(json["mean"].is_null());
  EXPECT_TRUE(json["ci95"][0].is_null());
  EXPECT_EQ(json["ci_method"], "none");
}

TEST(EstimateProgram, RefusalsSayWhereAndWhat) {
  EXPECT_THAT(refusal(R"({"values": [1]})"), HasSubstr("F:3: field \"id\""));
  EXPECT_THAT(refusal(R"({"id": "a", "values": [1, "x"]})"), HasSubstr("F:3: values[1]"));
  EXPECT_THAT(refusal(R"({"id": "a", "values": [2]})"), HasSubstr("from 0 to 1, got 2"));
  EXPECT_THAT(refusal(R"({"id": "a", "values": [1], "mins": [1]})"), HasSubstr("\"mins\""));
  EXPECT_THAT(refusal(R"({"id": "a", "values": [1], "minus": [1, 0]})"), HasSubstr("F:3"));
  EXPECT_THAT(refusal(R"({"id": "a", "values": [1], "bounds": [1, 0]})"), HasSubstr("low < high"));
  EXPECT_THAT(refusal(R"({"id": "a", "values": [1], "minus_strongest": []})"), HasSubstr("rival"));
}

TEST(EstimateProgram, BadLinesAreCountedAndTheRestGoesOn) {
  const test::TempDir dir;
  std::ofstream(dir / "in") << "{\"id\": \"a\", \"values\": [1]}\nnot JSON\n"
                               "{\"id\": \"b\", \"values\": [0.5], \"bounds\": null}\n";
  {
    JsonlReader in(dir / "in");
    JsonlWriter out(dir / "out");
    EXPECT_EQ(estimate_rows(in, out, {}), 1);
  }
  JsonlReader out(dir / "out");
  JsonlLine line;
  std::vector<std::string> ids;
  while (out.next(line)) ids.push_back(line.value["id"]);
  EXPECT_EQ(ids, (std::vector<std::string>{"a", "b"}));
}

TEST(EstimateProgram, InputThatCannotBeReadLeavesTheOutputOfBefore) {
  const test::TempDir dir;
  const std::string in = dir / "in", out = dir / "out";
  const auto run = [&] {
    return test::run_program({test::program("estimate").string(), "--in", in, "--out", out});
  };
  write_file_atomically(in, "{\"id\": \"a\", \"values\": [1]}\n");
  ASSERT_EQ(run().exit_code, 0);
  const std::string before = read_file(out);
  EXPECT_THAT(before, HasSubstr("\"id\""));
  // {"a":1} and {"a":2}, gzipped and cut off.
  const std::string packed = *base64_decode("H4sIAAAAAAACA6tWSlSyMqzlqgbRRrVcAGbAWhkQAAAA");
  write_file_atomically(in, packed.substr(0, packed.size() - 4));
  EXPECT_EQ(run().exit_code, 2);
  EXPECT_EQ(read_file(out), before);
}

TEST(Estimate, EverySizeOfItsConfigIsBounded) {
  test::expect_bounded_sizes<EstimateOptions>({{"in", "-"}, {"out", "-"}}, {"threads"});
}

}  // namespace
}  // namespace weft
