#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>

#include "base/json.h"
#include "data/trajectory_store.h"
#include "tests/serve/support.h"
#include "tests/support/locked_database.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using test::post;
using ::testing::HasSubstr;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The real program on the tiny model, on a port of the system's choice.
class ServeProgram : public ::testing::Test {
 protected:
  static std::vector<std::string> command(const std::vector<std::string>& settings) {
    std::vector<std::string> words = {test::program("serve").string(), "--set",
                                      "model=" + test::fixture("tiny_llama").string(), "--set",
                                      "dtype=f32"};
    for (const std::string& setting : settings) {
      words.push_back("--set");
      words.push_back(setting);
    }
    return words;
  }

  void start(std::vector<std::string> settings = {"workflows=false"}) {
    settings.push_back("port=0");
    process_ = std::make_unique<test::BackgroundProgram>(command(settings), log());
    const std::string mark = "listening on http://127.0.0.1:";
    for (int i = 0; i < 600 && port_ == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      const std::string text = text_of(log());
      const size_t at = text.find(mark);
      if (at != std::string::npos && text.find('\n', at) != std::string::npos) {
        port_ = std::stoi(text.substr(at + mark.size()));
      }
    }
    ASSERT_NE(port_, 0) << text_of(log());
    client_ = std::make_unique<httplib::Client>("127.0.0.1", port_);
    client_->set_read_timeout(60);
  }

  std::filesystem::path log() const { return dir_ / "serve.log"; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  test::TempDir dir_;
  std::unique_ptr<test::BackgroundProgram> process_;
  std::unique_ptr<httplib::Client> client_;
  int port_ = 0;
};

TEST_F(ServeProgram, DryRunNamesEverythingThatKeepsItFromStarting) {
  start();
  auto words = command({"port=" + std::to_string(port_), "model=no/model", "adapter=no_adapter",
                        "api_key_env=WEFT_TEST_NO_SUCH_KEY", "store=no.sqlite",
                        "certificate_file=no.crt", "key_file=no.key"});
  words.push_back("--dry-run");
  const auto run = test::run_program(words);
  EXPECT_EQ(run.exit_code, 2);
  for (const char* problem :
       {"port: cannot listen on 127.0.0.1:", "model: expected a model folder, got no/model",
        "adapter: expected a model folder, got no_adapter", "variable WEFT_TEST_NO_SUCH_KEY",
        "store: expected a file, got no.sqlite", "certificate_file: expected a file, got no.crt",
        "key_file: expected a file, got no.key"}) {
    EXPECT_THAT(run.err, HasSubstr(problem));
  }
  auto fine = command({"port=0"});
  fine.push_back("--dry-run");
  const auto would_start = test::run_program(fine);
  EXPECT_EQ(would_start.exit_code, 0) << would_start.err;
}

TEST_F(ServeProgram, StockOpenAiClientWorks) {
  const auto python = test::source_dir() / ".venv-test" / "bin" / "python";
  if (!std::filesystem::exists(python)) {
    GTEST_SKIP() << "no .venv-test with the package openai; scripts/bootstrap.sh --tests makes it";
  }
  start();
  const auto run = test::run_program(
      {python.string(), (test::source_dir() / "tests/serve/openai_client.py").string(), url()});
  if (run.exit_code == 77) GTEST_SKIP() << run.out;
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
}

TEST_F(ServeProgram, GreedyTokensAreThoseOfGenerate) {
  start();
  const auto reply = post(*client_, "/v1/completions",
                          {{"prompt", {5, 9, 40, 7}},
                           {"temperature", 0},
                           {"max_tokens", 16},
                           {"ignore_eos", true},
                           {"return_token_ids", true}});
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->status, 200) << reply->body;
  const auto generated = test::run_program(
      {test::program("generate").string(), "--model", test::fixture("tiny_llama").string(), "--in",
       "-", "--out", "-", "--set", "dtype=f32"},
      R"({"id":1,"prompt_ids":[5,9,40,7],"temperature":0,"max_tokens":16,"ignore_eos":true})"
      "\n");
  ASSERT_EQ(generated.exit_code, 0) << generated.err;
  EXPECT_EQ(parse_json(reply->body, "")["choices"][0]["token_ids"],
            parse_json(generated.out, "")["choices"][0]["ids"]);
}

TEST_F(ServeProgram, TokenizeAndDetokenizeAreInverse) {
  start();
  const auto tokens = post(*client_, "/tokenize", {{"prompt", "hello there"}});
  ASSERT_EQ(tokens->status, 200) << tokens->body;
  const Json json = parse_json(tokens->body, "");
  EXPECT_EQ(json["count"], json["tokens"].size());
  EXPECT_EQ(json["max_model_len"], 512);
  const auto text = post(*client_, "/detokenize", {{"tokens", json["tokens"]}});
  EXPECT_THAT(parse_json(text->body, "")["prompt"].get<std::string>(), HasSubstr("hello there"));
}

TEST_F(ServeProgram, PromptBeyondTheContextIs400WithBothNumbers) {
  start();
  const auto reply =
      post(*client_, "/v1/completions", {{"prompt", {5, 6, 7}}, {"max_tokens", 600}});
  EXPECT_EQ(reply->status, 400);
  EXPECT_THAT(reply->body, HasSubstr("512"));
  EXPECT_THAT(reply->body, HasSubstr("603"));
}

TEST_F(ServeProgram, AdapterIsServedUnderItsOwnNameWithWhoTaughtIt) {
  const auto adapter = dir_ / "adapter";
  std::filesystem::copy(test::fixture("tiny_llama_lora"), adapter);
  std::ofstream(adapter / "source.json") << R"({"teachers": ["scripted"]})";
  start({"workflows=false", "adapter=" + adapter.string()});
  const Json list = parse_json(client_->Get("/v1/models")->body, "");
  ASSERT_EQ(list["data"].size(), 2u);
  EXPECT_EQ(list["data"][0]["description"], "tiny_llama");
  EXPECT_EQ(list["data"][1]["id"], "meta-agent");
  EXPECT_THAT(list["data"][1]["description"].get<std::string>(),
              HasSubstr("taught by scripted teacher"));
  const Json body = {{"prompt", {5, 9, 40, 7}}, {"temperature", 0},         {"max_tokens", 16},
                     {"ignore_eos", true},      {"return_token_ids", true}, {"logprobs", 1}};
  Json with = body;
  with["model"] = "meta-agent";
  EXPECT_NE(parse_json(post(*client_, "/v1/completions", body)->body, "")["choices"],
            parse_json(post(*client_, "/v1/completions", with)->body, "")["choices"]);
}

TEST_F(ServeProgram, WorkflowOfAnUntrainedModelIsShownAsNotValid) {
  start({});
  const auto reply = post(*client_, "/v1/workflows",
                          {{"query", "Add two numbers."}, {"max_tokens", 40}, {"seed", 1}});
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->status, 200) << reply->body;
  const Json json = parse_json(reply->body, "");
  EXPECT_EQ(json["valid"], false);
  EXPECT_FALSE(json.contains("answer"));
  EXPECT_GT(json["usage"]["completion_tokens"].get<int>(), 0);
}

TEST_F(ServeProgram, WrittenWorkflowsAreInItsStoreAlsoAfterSomebodyHeldItLocked) {
  const auto path = dir_ / "served.sqlite";
  TrajectoryStore(path).count();
  start({"trajectories=" + path.string()});
  const Json body = {{"query", "Add two numbers."}, {"max_tokens", 20}, {"seed", 1}};
  std::optional<test::LockedDatabase> locked(path);
  for (int i = 0; i < 2; ++i) {
    const auto reply = post(*client_, "/v1/workflows", body);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 200) << reply->body;
  }
  EXPECT_THAT(client_->Get("/metrics")->body,
              HasSubstr("weft:workflows_waiting{model_name=\"tiny_llama\"} 2"));
  ASSERT_TRUE(test::wait_until(
      [this] { return text_of(log()).find("could not be stored") != std::string::npos; }));
  locked.reset();
  client_->stop();
  process_->signal(SIGTERM);
  EXPECT_EQ(process_->wait(), 128 + SIGTERM);
  const auto rows = TrajectoryStore(path, StoreAccess::kRead).select();
  ASSERT_EQ(rows.size(), 2u);  // the same text twice: both were sampled
  EXPECT_EQ(rows[0].outcome, "workflow_error");
  EXPECT_EQ(rows[0].seed, 1u);
  EXPECT_EQ(rows[0].origin, "model:" + test::fixture("tiny_llama").string());
  EXPECT_THAT(rows[0].prompt, HasSubstr("Add two numbers."));
}

TEST_F(ServeProgram, AFileThatIsNoStoreIsExit2) {
  std::ofstream(dir_ / "notes") << "text";
  const auto run = test::run_program(command({"trajectories=" + (dir_ / "notes").string()}));
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("not a trajectory store"));
}

TEST_F(ServeProgram, PortInUseIsOneLineAndExit1) {
  start();
  const auto second =
      test::run_program(command({"workflows=false", "port=" + std::to_string(port_)}));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, HasSubstr("127.0.0.1:" + std::to_string(port_)));
  EXPECT_THAT(second.err, HasSubstr("in use"));
}

TEST_F(ServeProgram, MissingKeyVariableIsExit2) {
  const auto run = test::run_program(command({"workflows=false", "api_key_env=WEFT_NO_SUCH_KEY"}));
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("WEFT_NO_SUCH_KEY"));
}

TEST_F(ServeProgram, SigtermLetsARequestEndAndExits143) {
  start();
  auto running = std::async(std::launch::async, [this] {
    httplib::Client other("127.0.0.1", port_);
    other.set_read_timeout(60);
    const auto reply =
        post(other, "/v1/completions",
             {{"prompt", {5, 6}}, {"max_tokens", 500}, {"ignore_eos", true}, {"n", 8}});
    return reply ? reply->status : -1;
  });
  for (int i = 0; i < 200; ++i) {
    const auto metrics = client_->Get("/metrics");
    if (metrics && metrics->body.find("in_flight{model_name=\"") != std::string::npos &&
        metrics->body.find("in_flight{model_name=\"tiny_llama\"} 0") == std::string::npos) {
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  process_->signal(SIGTERM);
  EXPECT_EQ(running.get(), 200);
  client_->stop();
  EXPECT_EQ(process_->wait(), 128 + SIGTERM);
}

}  // namespace
}  // namespace weft
