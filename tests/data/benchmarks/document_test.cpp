#include "data/benchmarks/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "data/benchmarks/benchmark.h"
#include "data/scorers/score.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::HasSubstr;

Json answer_of(const std::string& number, const Json& spans, const Json& date = Json::object()) {
  return {{"number", number}, {"date", date}, {"spans", spans}, {"worker_id", ""}, {"hit_id", ""}};
}

/// Two passages with three questions in the form of DROP's own files.
Json passages() {
  const Json none = Json::array();
  const Json number = {{"question", "How many?"},
                       {"answer", answer_of("2", none)},
                       {"query_id", "q-1"},
                       {"validated_answers",
                        {answer_of("2", none), answer_of("", {"two runs"}), answer_of("", none)}}};
  const Json spans = {{"question", "Who scored?"},
                      {"answer", answer_of("", {"Ann Lee", "Bo|b"})},
                      {"query_id", "q-2"}};
  const Json date = {
      {"question", "When?"},
      {"answer", answer_of("", none, {{"day", ""}, {"month", "May"}, {"year", "1968"}})},
      {"query_id", "q-3"},
      {"validated_answers", none}};
  return {{"nfl_1", {{"passage", "P."}, {"qa_pairs", {number, spans}}, {"wiki_url", "u"}}},
          {"history_2", {{"passage", "H."}, {"qa_pairs", {date}}}}};
}

struct File {
  explicit File(const std::string& text) { write_file_atomically(path(), text); }
  std::filesystem::path path() const { return dir / "rows.json"; }
  auto read(const std::string& dataset) const { return read_document(dataset, path()); }
  test::TempDir dir;
};

TEST(Document, DropsOwnFileGivesARowForEachQuestion) {
  const std::string compact = dump_json(passages());
  for (const std::string& text : {compact, compact + "\n", passages().dump(2), "\n" + compact}) {
    const File file(text);
    const auto rows = file.read("drop");
    ASSERT_TRUE(rows) << text;
    ASSERT_EQ(rows->size(), 3u);
    EXPECT_EQ(rows->at(1).where, file.path().string() + ": nfl_1: question 2");
    const BenchmarkRow first = parse_benchmark_row("drop", rows->at(0).row, rows->at(0).where);
    EXPECT_EQ(first.id, "q-1");
    EXPECT_EQ(first.prompt, "Passage: P.\nQuestion: How many?");
    EXPECT_EQ(first.answer, "2|two runs");
    EXPECT_TRUE(first.unread.empty());
    EXPECT_EQ(parse_benchmark_row("drop", rows->at(1).row, "r").answer, "Ann Lee\nBob");
    EXPECT_EQ(parse_benchmark_row("drop", rows->at(2).row, "r").answer, "May 1968");
  }
}

// Spans of one reference belong together, references are alternatives: as in the official script.
TEST(Document, GoldsOfSeveralSpansAreScoredTogether) {
  const auto rows = File(dump_json(passages())).read("drop");
  const auto gold = [&](size_t i) {
    return parse_benchmark_row("drop", rows->at(i).row, "r").answer;
  };
  EXPECT_EQ(score_drop("Bob; Ann Lee", gold(1)).score, 1);
  EXPECT_EQ(score_drop("Ann Lee", gold(1)).score, 0.5);
  EXPECT_EQ(score_drop("two runs", gold(0)).score, 1);
  EXPECT_EQ(score_drop("2", gold(0)).score, 1);
}

TEST(Document, AnArrayGivesItsRows) {
  const File file(R"([{"_id": "a"}, {"_id": "b"}])");
  const auto rows = file.read("hotpotqa");
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ(rows->at(1).row["_id"], "b");
  EXPECT_EQ(rows->at(1).where, file.path().string() + ": row 2");
}

TEST(Document, LinesAreNone) {
  const Json row = {{"passage", "P."}, {"question", "Q?"}};
  EXPECT_FALSE(File(dump_json(row) + "\n" + dump_json(row)).read("drop"));
  EXPECT_FALSE(File(dump_json(passages())).read("hotpotqa"));
  EXPECT_FALSE(File("").read("drop"));
  EXPECT_FALSE(File("{\nnot JSON").read("drop"));
  EXPECT_FALSE(read_document("drop", "-"));
}

TEST(Document, NamesWhatIsBroken) {
  const File cut("[{\"_id\": \"a\"},");
  EXPECT_THAT(test::input_error([&] { cut.read("hotpotqa"); }), HasSubstr(cut.path().string()));

  Json odd = passages();
  odd["nfl_1"]["qa_pairs"][0]["answer"] = answer_of("", Json::array());
  odd["nfl_1"]["qa_pairs"][0].erase("validated_answers");
  odd["nfl_1"]["qa_pairs"][1] = 7;
  odd["history_2"] = {{"passage", "H."}};
  const auto rows = File(dump_json(odd)).read("drop");
  ASSERT_EQ(rows->size(), 3u);
  const auto problem = [&](size_t i) {
    if (!rows->at(i).problem.empty()) return rows->at(i).problem;
    return test::input_error(
        [&] { parse_benchmark_row("drop", rows->at(i).row, rows->at(i).where); });
  };
  EXPECT_THAT(problem(0), HasSubstr("nfl_1: question 1: expected an answer"));
  EXPECT_THAT(problem(1), HasSubstr("nfl_1: question 2: "));
  EXPECT_THAT(problem(2),
              HasSubstr("history_2: field \"qa_pairs\": expected an array, got nothing"));
}

TEST(Document, APassageSaysWhatItLacks) {
  Json odd = passages();
  odd["a"] = {{"qa_pairs", "x"}};
  odd["b"] = {{"passage", 3}, {"qa_pairs", Json::array()}};
  odd["c"] = {{"passage", "P."}, {"qa_pairs", "x"}};
  odd["d"] = 7;
  const auto rows = File(dump_json(odd)).read("drop");
  ASSERT_EQ(rows->size(), 7u);
  EXPECT_THAT(rows->at(3).problem, HasSubstr(": a: field \"passage\": expected a string"));
  EXPECT_THAT(rows->at(4).problem, HasSubstr(": b: field \"passage\": expected a string"));
  EXPECT_THAT(rows->at(5).problem, HasSubstr(": c: field \"qa_pairs\": expected an array"));
  EXPECT_THAT(rows->at(6).problem, HasSubstr(": d: field \"passage\": expected a string"));
}

TEST(Document, PassagesThatAreCutOffAreNoLines) {
  for (const std::string& text : {dump_json(passages()), passages().dump(2)}) {
    const File cut(text.substr(0, text.size() / 2));
    EXPECT_THAT(test::input_error([&] { cut.read("drop"); }),
                AllOf(HasSubstr(cut.path().string()), HasSubstr("column")));
  }
}

TEST(Document, AByteOrderMarkIsPassedOver) {
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(File(mark + R"([{"_id": "a"}, {"_id": "b"}])").read("hotpotqa")->size(), 2u);
  EXPECT_EQ(File(mark + dump_json(passages())).read("drop")->size(), 3u);
}

}  // namespace
}  // namespace weft
