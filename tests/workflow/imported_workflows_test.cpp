// Workflows of AFlow and ADAS, as scripts/import_workflows.py writes them, under the static check
// and in the sandbox.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/file.h"
#include "data/regex.h"
#include "tests/support/json_lines.h"
#include "tests/support/scripted_model.h"
#include "tests/support/support.h"
#include "tests/workflow/jail.h"
#include "workflow/run_workflow.h"

namespace weft {
namespace {

using test::jail;
using test::ScriptedModel;
using test::ScriptedPrompt;

/// A JSON object with the keys that an agent's prompt asks for, each of the same text.
std::string json_reply(const std::string& prompt, const std::string& text) {
  static const Regex kKeys(R"re(each with a text: (.*)\.)re");
  static const Regex kKey(R"re("([^"]*)")re");
  Json reply = Json::object();
  for (const auto& key : kKey.find_groups(kKeys.find_groups(prompt, 1).back(), 1))
    reply[key] = text;
  return "As asked:\n" + dump_json(reply);
}

/// What operators and agents ask for, known by the form that their prompts name.
std::string worker(const ScriptedPrompt& prompt) {
  const auto asks = [&](const char* words) { return prompt.user.find(words) != std::string::npos; };
  if (asks("each with a text: ")) return json_reply(prompt.user, "7");
  if (asks("<answer></answer>")) return "<thought>because</thought>\n<answer>7</answer>";
  if (asks("<letter></letter>")) return "Most agree. <letter>A</letter>";
  if (asks("<right></right>")) return "<right>no</right><feedback>six is not seven</feedback>";
  if (asks("a Python function solve()")) {
    return "```python\nimport math\n\ndef solve():\n    return math.factorial(7)\n```";
  }
  if (asks("This solution fails:")) return "```python\ndef f(x):\n    return 2 * x\n```";
  if (asks("```python block that defines `f`")) return "```python\ndef f(x):\n    return x\n```";
  if (asks("with the feedback heeded")) return "anew";
  if (asks("Give its final answer alone")) return "short";
  return "said: " + prompt.user;
}

Task task_of(bool code) {
  Task task;
  task.id = "t";
  task.dataset = "jsonl";
  task.kind = code ? TaskKind::kCode : TaskKind::kQa;
  task.prompt = "How many?";
  task.answer = "7";
  if (!code) return task;
  task.entry_point = "f";
  task.public_tests = {{{"args", {3}}, {"expected", 6}}};
  task.val_tests = {{{"args", {4}}, {"expected", 8}}};
  return task;
}

/// One import: the script's report and the folder that it has filled.
struct Import {
  Import(const std::string& format, const std::filesystem::path& rows,
         int64_t max_code_bytes = 8192)
      : agent(jail().analyser, wide(max_code_bytes)) {
    const auto run = test::run_program(
        {"/usr/bin/python3", "-B", (test::source_dir() / "scripts/import_workflows.py").string(),
         "--format", format, "--in", rows.string(), "--out", dir.path().string(),
         "--max-code-bytes", std::to_string(max_code_bytes)});
    exit_code = run.exit_code;
    text = run.out + run.err;
    report = read_json_file(dir / "report.json");
  }

  Outcome run(const Json& entry) {
    const std::string code = read_file(dir / entry["file"].get<std::string>());
    const Workflow workflow = agent.check(code);
    EXPECT_TRUE(workflow.valid) << entry["name"] << ": " << workflow.problem;
    ScriptedModel model(worker);
    RunnerOptions options;
    options.budget.max_calls = 400;
    options.budget.max_tokens = 100'000'000;
    WorkflowRunner runner(jail().sandbox, jail().judge, model, options);
    const bool is_code = code.find("entry_point: str") != std::string::npos;
    const Task task = task_of(is_code);
    return runner.run({.workflow = &workflow, .task = &task, .seed = 1, .score_val = false});
  }

  static MetaAgentOptions wide(int64_t max_code_bytes) {
    MetaAgentOptions options;
    options.max_code_bytes = max_code_bytes;
    return options;
  }

  test::TempDir dir;
  MetaAgent agent;
  int exit_code = 0;
  std::string text;
  Json report;
};

void expect_rows_do_what_they_say(const std::string& format, const char* fixture) {
  const auto path = test::fixture(fixture);
  const auto rows = test::read_json_lines(path);
  Import import(format, path);
  EXPECT_EQ(import.exit_code, 0) << import.text;
  ASSERT_EQ(import.report["workflows"].size(), rows.size());
  int64_t translated = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Json& row = rows[i];
    const Json& entry = import.report["workflows"][i];
    EXPECT_EQ(entry.value("refused", ""), row.value("expect_refused", "")) << entry["name"];
    if (entry.contains("refused")) {
      EXPECT_EQ(import.report["refused"][entry["refused"].get<std::string>()], 1);
      EXPECT_FALSE(entry.contains("file"));
      continue;
    }
    ++translated;
    const Outcome outcome = import.run(entry);
    EXPECT_EQ(outcome.kind, Outcome::Kind::kScored) << entry["name"] << ": " << outcome.error;
    EXPECT_THAT(row["expect"].get<std::vector<std::string>>(), testing::Contains(outcome.answer))
        << entry["name"];
  }
  EXPECT_EQ(import.report["translated"], translated);
  EXPECT_EQ(import.report["rows"], rows.size());
}

TEST(ImportedWorkflows, DoWhatAFlowsOperatorsDoOrAreRefusedByName) {
  expect_rows_do_what_they_say("aflow", "aflow_rows.jsonl");
}

TEST(ImportedWorkflows, DoWhatAdasAgentsDoOrAreRefusedByName) {
  expect_rows_do_what_they_say("adas", "adas_rows.jsonl");
}

TEST(ImportedWorkflows, ComeFromAFoldersRoundsToo) {
  test::TempDir rounds;
  const Json row = test::read_json_lines(test::fixture("aflow_rows.jsonl")).front();
  for (const char* round : {"round_1", "round_2"}) {
    std::filesystem::create_directories(rounds / "workflows" / round);
    write_file_atomically(rounds / "workflows" / round / "graph.py",
                          row["graph"].get<std::string>());
    write_file_atomically(rounds / "workflows" / round / "prompt.py",
                          row["prompt"].get<std::string>());
  }
  const Import import("aflow", rounds.path());
  EXPECT_EQ(import.exit_code, 0) << import.text;
  EXPECT_EQ(import.report["translated"], 2);
  EXPECT_EQ(import.report["workflows"][1]["file"], "workflows_round_2.py");
}

TEST(ImportedWorkflows, ComeFromAFileOfRunsToo) {
  test::TempDir dir;
  const Json row = test::read_json_lines(test::fixture("aflow_rows.jsonl")).front();
  const Json workflow = {{"workflow", 4}, {"graph", row["graph"]}, {"prompts", row["prompt"]}};
  const Json runs = {{"dataset", "GSM8K"}, {"workflows", Json::array({workflow})}};
  write_file_atomically(dir / "runs.json", dump_json_pretty(runs));
  const Import import("aflow", dir / "runs.json");
  EXPECT_EQ(import.exit_code, 0) << import.text;
  EXPECT_EQ(import.report["workflows"][0]["file"], "GSM8K_4.py");
}

TEST(ImportedWorkflows, NameABrokenRowAndTakeTheOthers) {
  test::TempDir dir;
  const std::string good = read_file(test::fixture("aflow_rows.jsonl"));
  write_file_atomically(dir / "rows.jsonl", "{\"graph\": 1, \"prompt\": \"\"}\nnot JSON\n" +
                                                good.substr(0, good.find('\n')));
  const Import import("aflow", dir / "rows.jsonl");
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_THAT(import.text, testing::HasSubstr("rows.jsonl:1: field \"graph\": expected a string"));
  EXPECT_THAT(import.text, testing::HasSubstr("rows.jsonl:2: not valid JSON"));
  EXPECT_EQ(import.report["translated"], 1);
}

/// Of a published collection: every row is translated or refused, and what is translated runs.
void expect_collection(const std::string& format, const std::filesystem::path& path,
                       int64_t max_code_bytes, int64_t translated,
                       const std::map<std::string, int64_t>& refused) {
  Import import(format, path, max_code_bytes);
  EXPECT_EQ(import.report["translated"], translated) << import.text;
  EXPECT_EQ((import.report["refused"].get<std::map<std::string, int64_t>>()), refused)
      << import.text;
  int64_t files = 0;
  for (const Json& entry : import.report["workflows"]) {
    EXPECT_NE(entry.contains("file"), entry.contains("refused"));
    if (entry.contains("refused")) continue;
    ++files;
    const Outcome outcome = import.run(entry);
    EXPECT_EQ(outcome.kind, Outcome::Kind::kScored) << entry["name"] << ": " << outcome.error;
  }
  EXPECT_EQ(files, translated);
}

std::filesystem::path published(const char* file) {
  const auto path = test::reference_data() / "teacher" / file;
  return !test::reference_data().empty() && std::filesystem::exists(path) ? path : "";
}

// What is refused for another reason than its size has the score 0 in AFlow's own results.
TEST(ImportedWorkflows, EveryPublishedGraphOfAFlowIsTranslatedOrRefused) {
  const auto path = published("aflow_discovered_workflows.jsonl");
  if (path.empty()) GTEST_SKIP() << "WEFT_TEST_DATA names no folder with teacher/";
  const std::string format =
      "prompt GENERATE_SOLUTION_PROMPT cannot be formatted: Replacement index 0 out of range for "
      "positional args tuple";
  std::map<std::string, int64_t> refused = {{format, 3},
                                            {"operator Test has no argument test_cases", 1}};
  expect_collection("aflow", path, 16384, 151, refused);
  const Json by_default = Import("aflow", path).report;
  EXPECT_EQ(by_default["rows"], 155);
  EXPECT_EQ(by_default["translated"], 145);
  EXPECT_EQ(by_default["refused"]["more than 8192 bytes of code (--max-code-bytes)"], 6);
}

TEST(ImportedWorkflows, EveryPublishedAgentOfAdasIsTranslatedOrRefused) {
  const auto path = published("adas_agents.jsonl");
  if (path.empty()) GTEST_SKIP() << "WEFT_TEST_DATA names no folder with teacher/";
  expect_collection("adas", path, 8192, 144,
                    {{"self.get_test_output_from_code is of ADAS's harness", 26},
                     {"domain_instruction is not defined", 2},
                     {"self.__repr__ is of ADAS's harness", 1},
                     {"self.run_examples_and_get_feedback is of ADAS's harness", 1}});
}

}  // namespace
}  // namespace weft
