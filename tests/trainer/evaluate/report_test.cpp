#include "trainer/evaluate/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/rng.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCode = R"(class Workflow:
    def __init__(self, name, llm_config, dataset):
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem, entry_point):
        # Step 1: draft a solution
        drafts = await self.llm.call_llm(messages=[problem], temperature=0.7, num_of_response=%d)
        # Step 2: keep the first draft that passes the public tests
        for draft in drafts:
            if exec_code(extract_code(draft), entry_point) == "no error":
                return draft, 0.0
        return drafts[0], 0.0
)";

std::string code_with(int drafts) {
  std::string code = kCode;
  return code.replace(code.find("%d"), 2, std::to_string(drafts));
}

std::vector<Task> some_tasks(int count) {
  std::vector<Task> tasks(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    tasks[size_t(i)].id = "builtin/test/" + std::to_string(i);
    tasks[size_t(i)].prompt = "Write a function f" + std::to_string(i) +
                              "(xs) that returns the sum of the positive numbers in xs.";
    tasks[size_t(i)].entry_point = "f" + std::to_string(i);
  }
  return tasks;
}

/// Rows as if each method solved task i with a chance that depends on both.
std::vector<ResultRow> simulated_rows(const std::vector<Method>& methods,
                                      const std::vector<Task>& tasks, int samples) {
  const std::map<std::string, double> skill = {{"io", 0.32},         {"cot", 0.35}, {"cot_sc", 0.4},
                                               {"best_fixed", 0.46}, {"sft", 0.44}, {"grpo", 0.56}};
  std::vector<ResultRow> rows;
  Rng rng(3);
  for (const Method& method : methods) {
    const auto found = skill.find(method.name);
    const double base = found == skill.end() ? 0.45 : found->second;
    for (size_t i = 0; i < tasks.size(); ++i) {
      for (int sample = 0; sample < samples; ++sample) {
        ResultRow row;
        row.method = method.name;
        row.task = tasks[i].id;
        row.sample = sample;
        row.status = OutcomeKind::kScored;
        const double ease = double(i % 7) / 6 - 0.5;
        row.score = row.pass_rate = rng.uniform() < base + 0.6 * ease ? 1 : 0;
        row.worker_tokens = 200 + int64_t(rng.below(300));
        const bool written = method.kind != MethodKind::kFixed;
        row.meta_tokens = written ? 300 : 0;
        const int drafts = 1 + int(rng.below(4));
        row.calls = drafts;
        row.workflow = code_with(drafts);
        row.fingerprint = std::to_string(drafts);
        row.reasoning = "The query needs one short function.";
        if (written && rng.uniform() < 0.05) row.status = OutcomeKind::kInvalid;
        if (row.status == OutcomeKind::kInvalid) row.score = row.pass_rate = 0;
        if (rng.uniform() < 0.004) row.status = OutcomeKind::kInfrastructure;
        rows.push_back(row);
      }
    }
  }
  return rows;
}

class Report : public ::testing::Test {
 protected:
  Report() {
    std::ofstream sft(dir_ / "sft.jsonl"), grpo(dir_ / "grpo.jsonl");
    Rng rng(1);
    for (int step = 1; step <= 40; ++step) {
      sft << dump_json({{"step", step},
                        {"loss", 1.6 * std::exp(-step / 12.0) + 0.4 + 0.03 * rng.normal()}})
          << "\n";
      grpo << dump_json({{"step", step},
                         {"loss", 0.01},
                         {"reward_mean", 0.35 + 0.004 * step + 0.03 * rng.normal()}})
           << "\n";
    }
    options_.curves = {"sft=" + (dir_ / "sft.jsonl").string(),
                       "grpo=" + (dir_ / "grpo.jsonl").string()};
    options_.title = "Built-in Python tasks";
    options_.worker = "SmolLM2-135M-Instruct";
    options_.example_before = "sft";
    options_.example_after = "grpo";
    options_.samples_per_task = 4;
    options_.bootstrap.resamples = 2000;
    options_.scoring = {{{"rule", "official"},
                         {"datasets", {"humaneval"}},
                         {"tasks", 40},
                         {"tests", 311},
                         {"all_or_nothing", true}}};
    options_.settings = {{"seed", 0}, {"note", "</script><script>alert(1)</script>"}};
  }

  Json report() const {
    return make_report(methods_, tasks_, simulated_rows(methods_, tasks_, 4), options_);
  }

  test::TempDir dir_;
  ReportOptions options_;
  const std::vector<Method> methods_ =
      parse_methods({"io", "cot", "cot_sc", "best_fixed=workflow:best_workflow.py", "sft=meta:sft",
                     "grpo=meta:grpo", "shuffled:grpo"});
  const std::vector<Task> tasks_ = some_tasks(40);
};

TEST_F(Report, HasTheAgreedFields) {
  const Json json = report();
  ASSERT_EQ(json["methods"].size(), 7u);
  for (const char* key : {"name", "n", "score", "ci95", "ci_method", "class", "tokens_mean",
                          "usd_mean", "valid", "workflow_errors", "infra_errors"}) {
    EXPECT_TRUE(json["methods"][0].contains(key)) << key;
  }
  EXPECT_EQ(json["pairs"].size(), 21u);
  EXPECT_EQ(json["tasks"].size(), 40u);
  EXPECT_TRUE(json["tasks"]["builtin/test/0"].contains("grpo"));
}

TEST_F(Report, CurvesComeFromTheMetricFiles) {
  const Json json = report();
  ASSERT_EQ(json["curves"].size(), 2u);
  EXPECT_EQ(json["curves"][1]["name"], "grpo");
  EXPECT_EQ(json["curves"][1]["points"].size(), 40u);
}

TEST_F(Report, ExamplesAreDrawnBySeedNotByScore) {
  const Json first = report()["examples"];
  ASSERT_EQ(first.size(), 3u);
  options_.bootstrap.seed = 99;
  EXPECT_EQ(report()["examples"], first);
  options_.seed = 1;
  EXPECT_NE(report()["examples"], first);
}

TEST_F(Report, UnknownExampleMethodIsAnInputError) {
  options_.example_after = "grpo2";
  EXPECT_THROW(report(), InputError);
}

TEST_F(Report, MissingCurveFileIsAnInputError) {
  options_.curves = {"sft=/nonexistent/metrics.jsonl"};
  EXPECT_THROW(report(), InputError);
}

TEST_F(Report, CurveWithoutANameIsCalledAfterItsFolder) {
  std::filesystem::create_directory(dir_ / "grpo");
  std::ofstream(dir_ / "grpo/metrics.jsonl") << "{\"step\": 1, \"reward_mean\": 0.5}\n";
  options_.curves = {(dir_ / "grpo/metrics.jsonl").string()};
  EXPECT_EQ(report()["curves"][0]["name"], "grpo");
}

TEST_F(Report, StepsInWhichALossWasNotMeasuredHaveNone) {
  std::ofstream(dir_ / "gaps.jsonl") << "{\"step\": 1, \"loss\": null, \"reward_mean\": null}\n"
                                        "{\"step\": 2, \"loss\": 0.5, \"reward_mean\": 0.25}\n";
  options_.curves = {"grpo=" + (dir_ / "gaps.jsonl").string()};
  const Json points = report()["curves"][0]["points"];
  EXPECT_TRUE(points[0]["loss"].is_null());
  EXPECT_TRUE(points[0]["reward_mean"].is_null());
  EXPECT_EQ(points[1]["loss"], 0.5);
}

TEST_F(Report, MarkdownShowsEveryMethodAndPair) {
  const std::string text = markdown_report(report());
  for (const Method& method : methods_) EXPECT_THAT(text, HasSubstr("| " + method.name + " |"));
  EXPECT_THAT(text, HasSubstr("## Paired differences"));
}

TEST_F(Report, MarkdownSaysWhatEachPairCouldShow) {
  const Json json = report();
  const std::string text = markdown_report(json);
  EXPECT_THAT(text, HasSubstr("d_z +"));
  EXPECT_THAT(text, HasSubstr("- cot against io: " + json["pairs"][0]["power"].get<std::string>()));
  EXPECT_THAT(text, HasSubstr("| method | worker tokens | meta-agent tokens |"));
}

TEST_F(Report, OneZeroOrOneATaskIsTestedByMcNemar) {
  const auto rows = simulated_rows(methods_, tasks_, 1);
  const Json json = make_report(methods_, tasks_, rows, options_);
  EXPECT_TRUE(json["pairs"][0].contains("mcnemar"));
  EXPECT_THAT(markdown_report(json), HasSubstr(", odds "));
}

TEST_F(Report, HeadlinesCompareTheLastMetaAgentWithTheStrongestOfEachClass) {
  const Json json = report();
  std::vector<std::string> classes;
  for (const Json& headline : json["headlines"]) {
    classes.push_back(headline["class"]);
    EXPECT_EQ(headline["method"], "grpo");
    EXPECT_THAT(markdown_report(json), HasSubstr(headline["words"].get<std::string>()));
  }
  EXPECT_EQ(classes, (std::vector<std::string>{"single_call", "repeated_calls", "one_workflow",
                                               "other_query"}));
}

TEST_F(Report, SaysWhatTheWorkerIsAndWhoTaught) {
  options_.worker = "Small, dequantised from 4 bits";
  options_.teachers = {"scripted teacher (a grammar)"};
  const Json json = report();
  for (const std::string& text : {markdown_report(json), html_report(json)}) {
    EXPECT_THAT(text, HasSubstr("Small, dequantised from 4 bits"));
    EXPECT_THAT(text, HasSubstr("scripted teacher (a grammar)"));
  }
}

/// One row for each task.
std::vector<ResultRow> rows_of(const std::string& method, const std::vector<Task>& tasks,
                               OutcomeKind status, double score, const std::string& error) {
  std::vector<ResultRow> rows;
  for (const Task& task : tasks) {
    ResultRow row;
    row.method = method;
    row.task = task.id;
    row.status = status;
    row.score = row.pass_rate = score;
    row.error = error;
    rows.push_back(row);
  }
  return rows;
}

// What a run may end with: nothing solved, nothing valid, nothing measured, one method or task.
TEST_F(Report, NothingOfEightIsNoPointInAnyReport) {
  const auto tasks = some_tasks(8);
  const auto methods = parse_methods({"io"});
  ReportOptions options;
  const Json json =
      make_report(methods, tasks, rows_of("io", tasks, OutcomeKind::kScored, 0, ""), options);
  EXPECT_EQ(json["methods"][0]["ci_method"], "wilson");
  const std::string text = markdown_report(json);
  EXPECT_THAT(text, HasSubstr("| io | 0.000 | 0.000 to 0.324 | wilson | 8 |"));
  EXPECT_THAT(text, Not(HasSubstr("Paired differences")));
  EXPECT_TRUE(json["headlines"].empty());
}

TEST_F(Report, WithoutAnyScoreHasNullsAndNoInterval) {
  const auto tasks = some_tasks(3);
  const auto methods = parse_methods({"io", "m=meta:dir"});
  for (const auto& rows : {rows_of("io", tasks, OutcomeKind::kInfrastructure, 0, "HTTP 503"),
                           std::vector<ResultRow>{}}) {
    const Json json = make_report(methods, tasks, rows, {});
    EXPECT_TRUE(json["methods"][0]["score"].is_null());
    EXPECT_EQ(json["methods"][0]["ci_method"], "none");
    EXPECT_EQ(json["pairs"][0]["reading"], "inconclusive");
    EXPECT_THAT(markdown_report(json), HasSubstr("| io | - | - | none | 0 |"));
  }
}

TEST_F(Report, AnInvalidExampleShowsWhyInsteadOfAnEmptyBox) {
  const auto methods = parse_methods({"sft=meta:a", "grpo=meta:b"});
  auto rows = rows_of("sft", tasks_, OutcomeKind::kInvalid, 0, "no class Workflow");
  const auto more = rows_of("grpo", tasks_, OutcomeKind::kInvalid, 0, "cut at meta_max_tokens");
  rows.insert(rows.end(), more.begin(), more.end());
  const std::string text = markdown_report(make_report(methods, tasks_, rows, options_));
  EXPECT_THAT(text, HasSubstr("sft (not valid, score 0): no class Workflow"));
  EXPECT_THAT(text, Not(HasSubstr("```python\n\n```")));
}

TEST_F(Report, CountedReasonsAreShown) {
  Json json = report();
  json["methods"][5]["errors"] = {{"invalid", {{"no class Workflow", 7}}}};
  EXPECT_THAT(markdown_report(json), HasSubstr("| grpo | invalid | no class Workflow | 7 |"));
}

TEST_F(Report, AReasonStaysInItsCellOfTheTable) {
  Json json = report();
  json["methods"][0]["errors"] = {{"workflow_error", {{"a | b\nc", 1}}}};
  EXPECT_THAT(markdown_report(json), HasSubstr("| io | workflow_error | a \\| b c | 1 |"));
}

TEST_F(Report, NeverReadsAnIntervalWithZeroAsNoDifference) {
  const Json json = report();
  for (const std::string& text : {markdown_report(json), html_report(json)}) {
    EXPECT_THAT(text, Not(HasSubstr("no difference")));
    EXPECT_THAT(text, HasSubstr("inconclusive"));
  }
}

TEST_F(Report, NamesIntervalsThatAreNotOfTheUsualKind) {
  const auto tasks = some_tasks(2);
  const auto methods = parse_methods({"io"});
  const Json json =
      make_report(methods, tasks, rows_of("io", tasks, OutcomeKind::kScored, 0.5, ""), {});
  EXPECT_EQ(json["methods"][0]["ci_method"], "equal_bound");
  EXPECT_THAT(markdown_report(json), HasSubstr("io (the values of all 2 tasks are equal"));
}

TEST_F(Report, EveryFormSaysByWhichTestsItScored) {
  const Json json = report();
  EXPECT_EQ(json["scoring"][0]["tests"], 311);
  for (const std::string& text : {markdown_report(json), html_report(json)}) {
    EXPECT_THAT(text, HasSubstr("Score (official, 40 tasks of humaneval)"));
    EXPECT_THAT(text, HasSubstr("whole test set, 311 in all"));
  }
}

/// Ten scored samples for each of the first tasks.
std::vector<ResultRow> sample_rows(const std::vector<Method>& methods,
                                   const std::vector<Task>& tasks, size_t num_tasks) {
  auto rows = simulated_rows(methods, {tasks.begin(), tasks.begin() + int64_t(num_tasks)}, 10);
  for (ResultRow& row : rows) row.status = OutcomeKind::kScored;
  return rows;
}

TEST_F(Report, PassAtKIsShownAsFarAsEveryTaskHasSamples) {
  options_.example_before = options_.example_after = "";
  const auto methods = parse_methods({"s=samples:f.jsonl"});
  const auto rows = sample_rows(methods, tasks_, 40);
  const Json json = make_report(methods, tasks_, rows, options_);
  EXPECT_EQ(json["methods"][0]["pass_at_k"].size(), 2u);
  EXPECT_THAT(markdown_report(json), HasSubstr("| method | pass@1 | pass@10 | pass@100 |"));
  EXPECT_THAT(markdown_report(report()), Not(HasSubstr("pass@10")));
  options_.scoring[0]["all_or_nothing"] = false;
  EXPECT_FALSE(report()["methods"][0].contains("pass_at_k"));
}

TEST_F(Report, SaysForHowManyTasksThereAreSamples) {
  options_.example_before = options_.example_after = "";
  const auto methods = parse_methods({"s=samples:f.jsonl"});
  const Json json = make_report(methods, tasks_, sample_rows(methods, tasks_, 20), options_);
  EXPECT_THAT(json["notes"].dump(), HasSubstr("s holds 200 samples for 20 of 40 tasks"));
  EXPECT_TRUE(json["methods"][0]["tokens_mean"].is_null());
  EXPECT_THAT(markdown_report(json), Not(HasSubstr("sample per task and method")));
}

TEST_F(Report, ContaminatedTasksAreCountedAndListed) {
  EXPECT_FALSE(report().contains("contamination"));
  options_.contamination_sources = {"sft.jsonl"};
  EXPECT_THAT(markdown_report(report()), HasSubstr("0 tasks found in the training texts."));
  options_.contaminated = {{"builtin/test/1", 3, 0.25, "sft.jsonl", 7}};
  const Json json = report();
  EXPECT_EQ(json["contamination"][0]["line"], 7);
  EXPECT_EQ(json["methods"][0]["uncontaminated"]["n"], 39);
  const std::string text = markdown_report(json);
  EXPECT_THAT(text, HasSubstr("| builtin/test/1 | 3 | 0.25 | sft.jsonl:7 |"));
  EXPECT_THAT(text, HasSubstr("Contamination: 1 of 40 tasks share 13 successive words"));
}

TEST_F(Report, SaysWhatEachTaskIsAndWhereItsPageIs) {
  options_.families = {{"builtin/test/0", "sums"}, {"builtin/test/1", "roots"}};
  options_.page_folder = "pages";
  const Json json = report();
  EXPECT_EQ(json["task_facts"]["builtin/test/0"],
            Json({{"dataset", ""},
                  {"kind", "code"},
                  {"family", "sums"},
                  {"page", "pages/00001-builtin_test_0.html"}}));
  EXPECT_THAT(markdown_report(json), HasSubstr("| family | roots | 1 |"));
  EXPECT_THAT(markdown_report(json), HasSubstr("Pareto front of score against tokens"));
}

TEST_F(Report, LatexHasBothTablesWithEverythingEscaped) {
  options_.title = "50 % of {x} & y_z \\ #1";
  const std::string text = latex_report(report());
  for (const char* part : {"\\toprule", "best\\_fixed & ", "shuffled\\_grpo & grpo & ",
                           "50 \\% of \\{x\\} \\& y\\_z \\textbackslash{} \\#1"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_EQ(latex_text("~^<>|\"\n"),
            "\\textasciitilde{}\\textasciicircum{}\\textless{}\\textgreater{}\\textbar{}"
            "\\textquotedbl{} ");
}

TEST_F(Report, PageIsSelfContained) {
  const std::string page = html_report(report());
  EXPECT_THAT(page, HasSubstr("Chart.js v3.9"));
  for (const char* outside : {"src=\"", "<link", "@import", "url(http", "fetch("}) {
    EXPECT_THAT(page, Not(HasSubstr(outside))) << outside;
  }
}

TEST_F(Report, TextOfWorkflowsCannotLeaveTheDataElement) {
  EXPECT_THAT(html_report(report()), Not(HasSubstr("<script>alert(1)")));
}

}  // namespace
}  // namespace weft
