// What prepare_tasks does with the files it reads and writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/file.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::HasSubstr;

// gzip of {"question":"Q","answer":"1"} and a newline.
constexpr const char* kPacked = "H4sIAAAAAAAC/6tWKixNLS7JzM9TslIKVNJRSswrLk8tAnIMlWq5AGL2Ld0eAAAA";
constexpr const char* kRow = "{\"question\":\"Q\",\"answer\":\"1\"}\n";

struct Files {
  std::filesystem::path in() const { return dir / "rows"; }
  std::filesystem::path out() const { return dir / "tasks"; }
  std::filesystem::path source() const { return dir / "tasks.source.json"; }
  std::filesystem::path part() const { return dir / "tasks.part"; }

  test::ProgramRun run(const std::string& text, const std::string& dataset = "gsm8k",
                       const std::string& split = "all") const {
    write_file_atomically(in(), text);
    return test::run_program({test::program("prepare_tasks").string(), "--dataset", dataset, "--in",
                              in().string(), "--out", out().string(), "--split", split});
  }

  test::TempDir dir;
};

TEST(PrepareTasksFiles, WhatCannotBeReadLeavesTheTasksOfBefore) {
  const Files files;
  ASSERT_EQ(files.run(kRow).exit_code, 0);
  const std::string tasks = read_file(files.out()), source = read_file(files.source());
  ASSERT_EQ(test::count_lines(files.out()), 1);
  const std::string packed = *base64_decode(kPacked);
  for (const std::string& broken :
       {packed.substr(0, packed.size() - 4), std::string("[{\"question\":\"Q\"")}) {
    const auto run = files.run(broken);
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_EQ(read_file(files.out()), tasks);
    EXPECT_EQ(read_file(files.source()), source);
    EXPECT_FALSE(std::filesystem::exists(files.part()));
  }
  EXPECT_EQ(files.run(kRow, "gsm8k", "aflow_test").exit_code, 1);  // not the whole of it
  EXPECT_EQ(read_file(files.out()), tasks);
  EXPECT_EQ(read_file(files.source()), source);
}

TEST(PrepareTasksFiles, ABadRowCostsNoOther) {
  const Files files;
  const auto run = files.run(std::string(kRow) + "{\n" + kRow);
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("rows:2: not valid JSON"));
  EXPECT_EQ(test::count_lines(files.out()), 2);
  EXPECT_EQ(read_json_file(files.source())["tasks"], 2);
  EXPECT_FALSE(std::filesystem::exists(files.part()));
}

TEST(PrepareTasksFiles, AFileWithoutRowsIsRefused) {
  const Files files;
  ASSERT_EQ(files.run(kRow).exit_code, 0);
  for (const char* text : {"", "\n \n", "[]"}) {
    const auto run = files.run(text);
    EXPECT_EQ(run.exit_code, 2) << text;
    EXPECT_THAT(run.err, HasSubstr("rows: expected rows, got none"));
    EXPECT_EQ(test::count_lines(files.out()), 1);
  }
}

TEST(PrepareTasksFiles, APassageThatIsNoneIsNamed) {
  const auto run =
      Files().run(R"({"p": {"passage": "P.", "qa_pairs": []}, "q": {"qa_pairs": "x"}})", "drop");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("rows: q: field \"passage\": expected a string, got nothing"));
}

}  // namespace
}  // namespace weft
