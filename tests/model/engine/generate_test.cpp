#include <gtest/gtest.h>

#include <cmath>

#include "base/base64.h"
#include "base/file.h"
#include "model/engine/generate_program.h"
#include "tests/support/config_sizes.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

test::ProgramRun run(const test::TempDir& dir, const std::string& input,
                     const std::string& dtype = "f32") {
  write_file_atomically(dir / "in.jsonl", input);
  return test::run_program({test::program("generate").string(), "--model",
                            test::fixture("tiny_llama").string(), "--in",
                            (dir / "in.jsonl").string(), "--out", (dir / "out.jsonl").string(),
                            "--set", "dtype=" + dtype, "--set", "engine.kv_mb=4"});
}

TEST(Generate, AnswersEveryKindOfRowInInputOrder) {
  const test::TempDir dir;
  const auto result = run(dir, R"({"id":"a","prompt":"hello","max_tokens":5}
{"id":2,"prompt_ids":[5,6,7],"n":2,"temperature":0.7,"top_k":5,"max_tokens":4,"ignore_eos":true}
{"id":"s","prompt_ids":[5,6,7],"score_ids":[8,9]}
{"id":"g","prompt_ids":[5,6,7],"temperature":0,"max_tokens":3,"ignore_eos":true}
)");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const auto rows = test::read_json_lines(dir / "out.jsonl");
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0]["id"], "a");
  EXPECT_EQ(rows[1]["id"], 2);
  EXPECT_EQ(rows[1]["choices"].size(), 2u);
  EXPECT_EQ(rows[1]["choices"][1]["sampling_logprobs"].size(), 4u);
  EXPECT_EQ(rows[1]["choices"][1]["finish_reason"], "length");
  EXPECT_EQ(rows[1]["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(rows[1]["usage"]["completion_tokens"], 8);
  EXPECT_FALSE(rows[0]["choices"][0].contains("sampling_logprobs"));
  EXPECT_EQ(rows[2]["choices"][0]["ids"], Json({8, 9}));
  EXPECT_EQ(rows[2]["choices"][0]["logprobs"].size(), 2u);
  EXPECT_EQ(rows[3]["choices"][0]["ids"].size(), 3u);
}

TEST(Generate, LogprobsOfGivenIdsEqualThoseOfSampling) {
  const test::TempDir dir;
  ASSERT_EQ(run(dir, R"({"id":1,"prompt_ids":[5,6,7],"max_tokens":9,"ignore_eos":true})").exit_code,
            0);
  const Json sampled = test::read_json_lines(dir / "out.jsonl").at(0)["choices"][0];
  const Json row = {{"id", 1}, {"prompt_ids", {5, 6, 7}}, {"score_ids", sampled["ids"]}};
  ASSERT_EQ(run(dir, row.dump()).exit_code, 0);
  const Json given = test::read_json_lines(dir / "out.jsonl").at(0)["choices"][0];
  for (size_t i = 0; i < sampled["ids"].size(); ++i) {
    EXPECT_NEAR(sampled["logprobs"][i].get<double>(), given["logprobs"][i].get<double>(), 1e-5);
  }
}

TEST(Generate, BadRowsAreNamedByLineAndTheRestGoOn) {
  const test::TempDir dir;
  const auto result = run(dir, R"({"id":1,"prompt_ids":[5],"max_tokens":2}
{"id":2,"prompt_ids":[5],
{"id":3,"prompt_ids":[9999]}
{"id":4}
{"id":5,"prompt_ids":[5],"temperature":-1}
{"id":6,"prompt_ids":[5],"score_ids":[777]}
{"id":7,"prompt_ids":[5],"max_tokens":2}
)");
  EXPECT_EQ(result.exit_code, 1);
  for (const char* line : {"in.jsonl:2", "in.jsonl:3", "in.jsonl:4", "in.jsonl:5", "in.jsonl:6"}) {
    EXPECT_NE(result.err.find(line), std::string::npos) << line << "\n" << result.err;
  }
  const auto rows = test::read_json_lines(dir / "out.jsonl");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["id"], 1);
  EXPECT_EQ(rows[1]["id"], 7);
}

TEST(Generate, RefusesUnknownFieldsAndRoles) {
  const test::TempDir dir;
  const auto result = run(dir, R"({"id":1,"prompt_ids":[5],"max_tokens":2,"meta":{"x":1}}
{"id":2,"prompt_ids":[5],"max_token":2}
{"id":3,"prompt_ids":[5],"temprature":0}
{"id":4,"messages":[{"role":"usr","content":"a"}]}
{"id":5,"messages":[{"role":"user","content":"a","name":"b"}]}
{"id":6,"messages":[{"role":"tool","content":"a","tool_call_id":"b"}]}
)");
  EXPECT_EQ(result.exit_code, 1);
  for (const char* said :
       {"in.jsonl:2: unknown key \"max_token\" (did you mean \"max_tokens\"?)",
        "in.jsonl:3: unknown key \"temprature\" (did you mean \"temperature\"?)",
        "in.jsonl:4: messages[0]: field \"role\": expected system, user, assistant or tool",
        "in.jsonl:5: messages[0]: unknown key \"name\"",
        "in.jsonl:6: messages[0]: unknown key \"tool_call_id\""}) {
    EXPECT_NE(result.err.find(said), std::string::npos) << said << "\n" << result.err;
  }
  EXPECT_EQ(test::read_json_lines(dir / "out.jsonl").size(), 1u);
}

TEST(Generate, NoTokenMaySufficeAndStopMayBeOneText) {
  const test::TempDir dir;
  const auto result = run(dir, R"({"id":1,"prompt_ids":[5,6],"n":2,"max_tokens":0}
{"id":2,"prompt_ids":[5],"max_tokens":2,"stop":"zzz"}
{"id":3,"prompt_ids":[5],"max_tokens":-1}
{"id":4,"prompt_ids":[5],"max_tokens":0,"temperature":-1}
)");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("in.jsonl:3: max_tokens: expected an integer >= 0"), std::string::npos)
      << result.err;
  EXPECT_NE(result.err.find("in.jsonl:4: temperature"), std::string::npos) << result.err;
  const auto rows = test::read_json_lines(dir / "out.jsonl");
  ASSERT_EQ(rows.size(), 2u);
  ASSERT_EQ(rows[0]["choices"].size(), 2u);
  EXPECT_EQ(rows[0]["choices"][1], Json({{"text", ""},
                                         {"ids", Json::array()},
                                         {"logprobs", Json::array()},
                                         {"finish_reason", "length"}}));
  EXPECT_EQ(rows[0]["usage"], Json({{"prompt_tokens", 2}, {"completion_tokens", 0}}));
}

TEST(Generate, TakesInt8AndNoDtypeThatItDoesNotKnow) {
  const test::TempDir dir;
  const std::string row = R"({"id":1,"prompt_ids":[5,6,7],"max_tokens":4,"ignore_eos":true})";
  const auto good = run(dir, row, "int8");
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(test::read_json_lines(dir / "out.jsonl").at(0)["choices"][0]["ids"].size(), 4u);
  const auto bad = run(dir, row, "int4");
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_NE(bad.err.find("expected auto, f32, bf16 or int8, got \"int4\""), std::string::npos);
}

TEST(Generate, BrokenModelIsAnInputError) {
  const test::TempDir dir;
  write_file_atomically(dir / "in.jsonl", "");
  const auto result =
      test::run_program({test::program("generate").string(), "--model", dir.path().string(), "--in",
                         (dir / "in.jsonl").string(), "--out", (dir / "out.jsonl").string()});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("config.json"), std::string::npos) << result.err;
}

TEST(Generate, InputThatCannotBeReadLeavesTheOutputOfBefore) {
  const test::TempDir dir;
  write_file_atomically(dir / "out.jsonl", "old\n");
  // {"a":1} and {"a":2}, gzipped and cut off.
  const std::string packed = *base64_decode("H4sIAAAAAAACA6tWSlSyMqzlqgbRRrVcAGbAWhkQAAAA");
  const auto result = run(dir, packed.substr(0, packed.size() - 4));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("in.jsonl"), std::string::npos) << result.err;
  EXPECT_EQ(read_file(dir / "out.jsonl"), "old\n");
}

TEST(Generate, DryRunNamesEverythingThatKeepsItFromStarting) {
  const auto run = test::run_program({test::program("generate"), "--dry-run", "--model", "no/model",
                                      "--in", "no.jsonl", "--out", "no_folder/out", "--adapter",
                                      "no_adapter", "--set", "device=cuda:7"});
  EXPECT_EQ(run.exit_code, 2);
  for (const char* problem :
       {"model: expected a model folder, got no/model", "in: expected a file, got no.jsonl",
        "out: no_folder/out cannot be made", "adapter: expected a PEFT folder, got no_adapter",
        "cuda:7"}) {
    EXPECT_NE(run.err.find(problem), std::string::npos) << problem << "\n" << run.err;
  }
}

TEST(Generate, EverySizeOfItsConfigIsBounded) {
  test::expect_bounded_sizes<GenerateOptions>({{"model", "m"}, {"in", "-"}, {"out", "-"}},
                                              {"threads", "engine.max_batch"});
}

}  // namespace
}  // namespace weft
