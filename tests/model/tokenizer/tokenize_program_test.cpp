#include "model/tokenizer/tokenize_program.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/model/tokenizer/tiny_tokenizer.h"
#include "tests/support/config_sizes.h"

namespace weft {
namespace {

class TokenizeProgram : public ::testing::Test {
 protected:
  TokenizeProgram() {
    const Json bos = {{"content", "<s>"}, {"special", true}, {"normalized", false}};
    Json json = test::tiny_tokenizer_json({"h i"}, {bos});
    json["post_processor"] = Json::parse(
        R"({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
            "special_tokens": {"<s>": {"ids": [257]}}})");
    write_file_atomically(dir_ / "tokenizer.json", dump_json(json));
  }

  test::ProgramRun run(std::vector<std::string> arguments, const std::string& input) {
    arguments.insert(arguments.begin(), {test::program("tokenize").string(), "--model",
                                         (dir_ / "tokenizer.json").string()});
    return test::run_program(arguments, input);
  }

  test::TempDir dir_;
};

TEST_F(TokenizeProgram, TurnsTextIntoIdsAndBack) {
  EXPECT_EQ(run({}, "{\"text\":\"hi\"}\n").out, "{\"ids\":[257,256]}\n");
  EXPECT_EQ(run({"--no-special"}, "{\"text\":\"hi\"}\n").out, "{\"ids\":[256]}\n");
  EXPECT_EQ(run({"--decode"}, "{\"ids\":[257,256]}\n").out, "{\"text\":\"<s>hi\"}\n");
  EXPECT_EQ(run({"--decode", "--no-special"}, "{\"ids\":[257,256]}\n").out, "{\"text\":\"hi\"}\n");
}

TEST_F(TokenizeProgram, ReportsBadLinesAndGoesOn) {
  const auto run_result = run({}, "{\"text\":\"hi\"}\n{\"text\":3}\nnonsense\n{\"text\":\"hi\"}\n");
  EXPECT_EQ(run_result.exit_code, 1);
  EXPECT_EQ(run_result.out, "{\"ids\":[257,256]}\n{\"ids\":[257,256]}\n");
  EXPECT_NE(run_result.err.find(":2"), std::string::npos) << run_result.err;
  EXPECT_NE(run_result.err.find(":3"), std::string::npos) << run_result.err;
}

TEST_F(TokenizeProgram, RefusesUnknownFields) {
  const auto mixed = run({}, "{\"text\":\"hi\",\"meta\":1}\n{\"text\":\"hi\",\"ids\":[1]}\n");
  EXPECT_EQ(mixed.exit_code, 1);
  EXPECT_EQ(mixed.out, "{\"ids\":[257,256]}\n");
  EXPECT_NE(mixed.err.find(":2: unknown key \"ids\", expected text"), std::string::npos)
      << mixed.err;
}

TEST_F(TokenizeProgram, RefusesAMissingModel) {
  const auto result =
      test::run_program({test::program("tokenize").string(), "--model", "/nonexistent"}, "");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("/nonexistent"), std::string::npos);
}

TEST_F(TokenizeProgram, EverySizeOfItsConfigIsBounded) {
  test::expect_bounded_sizes<TokenizeOptions>({{"model", "m"}}, {"threads"});
}

}  // namespace
}  // namespace weft
