#include "trainer/evaluate/results.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/jsonl.h"
#include "tests/support/support.h"

namespace weft {
namespace {

ResultRow example_row(OutcomeKind status) {
  ResultRow row;
  row.method = "grpo";
  row.task = "t/1";
  row.sample = 2;
  row.status = status;
  row.score = 1;
  row.pass_rate = 1;
  row.passed = row.declared = 3;
  row.worker_tokens = 100;
  row.meta_tokens = 40;
  row.origin = "meta";
  row.workflow = "class Workflow: pass\n";
  row.error = "";
  return row;
}

TEST(Results, RowSurvivesTheFile) {
  const ResultRow row = example_row(OutcomeKind::kLimit);
  EXPECT_EQ(to_json(parse_row(to_json(row), "here")), to_json(row));
}

TEST(Results, InfrastructureErrorsAreToBeTriedAgain) {
  test::TempDir dir;
  {
    JsonlWriter writer(dir / "results.jsonl");
    writer.write(to_json(example_row(OutcomeKind::kScored)));
    writer.write(to_json(example_row(OutcomeKind::kInfrastructure)));
  }
  const auto rows = load_finished_rows(dir / "results.jsonl");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].status, OutcomeKind::kScored);
}

TEST(Results, LineCutByACrashIsLeftOut) {
  test::TempDir dir;
  std::ofstream(dir / "results.jsonl")
      << dump_json(to_json(example_row(OutcomeKind::kScored))) << "\n{\"method\": \"gr";
  EXPECT_EQ(load_finished_rows(dir / "results.jsonl").size(), 1u);
}

TEST(Results, BadLineIsNamed) {
  test::TempDir dir;
  std::ofstream(dir / "results.jsonl") << "{\"method\": 3}\n";
  try {
    load_finished_rows(dir / "results.jsonl");
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("results.jsonl:1"), std::string::npos) << error.what();
  }
}

TEST(Results, NoFileMeansNothingFinished) {
  EXPECT_TRUE(load_finished_rows("/nonexistent/results.jsonl").empty());
}

}  // namespace
}  // namespace weft
