#include "base/run_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/run_dir.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::HasSubstr;

void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

/// A model folder with every kind of file.
void make_model(const fs::path& dir) {
  fs::create_directories(dir);
  put(dir / "config.json", "{\"hidden_size\": 64}");
  put(dir / "model.safetensors.index.json", "{}");
  put(dir / "model.safetensors", std::string(5000, 'w'));
  put(dir / "tokenizer.json", "{\"vocab\": 1}");
  put(dir / "merges.txt", "a b");
  put(dir / "tokenizer_config.json", "{\"bos\": 1, \"chat_template\": \"T\"}");
  put(dir / "README.md", "about");
}

std::vector<std::string> changed(const Json& before, const Json& after) {
  std::vector<std::string> names;
  for (const auto& [name, input] : before.items()) {
    if (after.value(name, Json()) != input) names.push_back(name);
  }
  return names;
}

TEST(RunInputs, ModelFilesAreNamedByWhatTheyHold) {
  test::TempDir dir;
  const auto now = [&] { return RunInputs().model("model", dir / "m").to_json(); };
  const struct {
    const char *file, *text, *name;
  } cases[] = {
      {"config.json", "{\"hidden_size\": 65}", "model"},
      {"model.safetensors.index.json", "{\"a\": 1}", "model"},
      {"model.safetensors", "other", "model"},
      {"generation_config.json", "{}", "model"},
      {"tokenizer.json", "{\"vocab\": 2}", "tokenizer"},
      {"merges.txt", "a c", "tokenizer"},
      {"tokenizer_config.json", "{\"bos\": 2, \"chat_template\": \"T\"}", "tokenizer"},
      {"tokenizer_config.json", "{\"bos\": 1, \"chat_template\": \"U\"}", "chat_template"},
      {"chat_template.jinja", "U", "chat_template"},
  };
  for (const auto& c : cases) {
    make_model(dir / "m");
    const Json before = now();
    EXPECT_EQ(before.size(), 3u);
    put(dir / "m" / c.file, c.text);
    EXPECT_EQ(changed(before, now()), std::vector<std::string>{c.name}) << c.file;
    fs::remove_all(dir / "m");
  }
  make_model(dir / "m");
  const Json before = now();
  put(dir / "m" / "README.md", "other");
  EXPECT_EQ(now(), before);
}

TEST(RunInputs, SamplesOfALargeFileNoticeAnotherFile) {
  test::TempDir dir;
  const auto path = dir / "w.safetensors";
  put(path, "");
  fs::resize_file(path, 70 << 20);  // sparse
  const uint64_t before = hash_file(path, /*sampled=*/true);
  EXPECT_EQ(hash_file(path, true), before);
  const auto write_at = [&](int64_t at) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.put('x');
  };
  write_at((70 << 20) - 1);
  const uint64_t after_last = hash_file(path, true);
  EXPECT_NE(after_last, before);
  write_at(0);
  EXPECT_NE(hash_file(path, true), after_last);
  fs::resize_file(path, (70 << 20) + 1);
  EXPECT_NE(hash_file(path, true), after_last);
}

struct SmallRun {
  std::string go(bool resume, std::vector<std::string> allow = {},
                 const Json& config = {{"a", 1}}) {
    try {
      RunDir run(dir / "run", resume, config,
                 ResumeRules{{}, RunInputs().files("data", {data}), std::move(allow)});
      write_file_atomically(run.file("metrics.jsonl"), "");
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  }
  test::TempDir dir;
  std::string data = (dir / "data.jsonl").string();
};

TEST(RunInputs, AResumedRunIsRefusedOtherDataUnlessToldToTakeIt) {
  SmallRun run;
  put(run.data, "one");
  EXPECT_EQ(run.go(false), "");
  EXPECT_EQ(run.go(true), "");
  put(run.data, "two");
  const std::string refusal = run.go(true);
  EXPECT_THAT(refusal, HasSubstr("\"data\" differs from the run's: expected "));
  EXPECT_THAT(refusal, HasSubstr("got "));
  EXPECT_THAT(refusal, HasSubstr("resume.allow=[\"data\"]"));
  EXPECT_THAT(run.go(true, {"other"}), HasSubstr("\"data\" differs"));
  EXPECT_EQ(run.go(true, {"data"}), "");
  EXPECT_EQ(run.go(true), "");  // taken once, it is the run's
}

TEST(RunInputs, AnInputThatIsGoneIsAnotherOne) {
  SmallRun run;
  put(run.data, "one");
  EXPECT_EQ(run.go(false), "");
  run.data.clear();
  put(run.dir / "more", "x");
  try {
    RunDir(run.dir / "run", true, {{"a", 1}},
           ResumeRules{{}, RunInputs().files("more", {(run.dir / "more").string()}), {"more"}});
    FAIL() << "taken";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("\"data\" differs"));
    EXPECT_THAT(error.what(), HasSubstr("got none"));
  }
}

TEST(RunInputs, ARunFromBeforeFingerprintsGoesOnAndGetsThem) {
  SmallRun run;
  put(run.data, "one");
  EXPECT_EQ(run.go(false), "");
  fs::remove(run.dir / "run/inputs.json");
  EXPECT_EQ(run.go(true), "");
  put(run.data, "two");
  EXPECT_THAT(run.go(true), HasSubstr("\"data\" differs"));
}

TEST(RunInputs, AConfigKeyIsRefusedWithBothValuesAndTakenWhereAllowed) {
  SmallRun run;
  put(run.data, "one");
  EXPECT_EQ(run.go(false), "");
  EXPECT_THAT(run.go(true, {}, {{"a", 2}}),
              HasSubstr("\"a\" differs from the run's config: expected 1, got 2"));
  EXPECT_EQ(run.go(true, {"a"}, {{"a", 2}}), "");
}

TEST(RunInputs, AMissingFileIsNamed) {
  EXPECT_THROW(RunInputs().files("data", {"/nowhere/data.jsonl"}), InputError);
}

}  // namespace
}  // namespace weft
