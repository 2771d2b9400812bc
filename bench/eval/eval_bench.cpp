/// How many answers a second are scored, by text and by symbols; and a worker of a fixed latency
/// for an evaluation to call.
#include <httplib.h>

#include <cstdio>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "bench/measure.h"
#include "tests/data/scorers/rows.h"
#include "workflow/answer_scorer.h"

namespace weft::bench {
namespace {

constexpr int kInFlight = 64;           // answers that the symbols are asked about at a time
constexpr int kServerThreads = 128;     // each answers one request at a time
constexpr int64_t kPromptTokens = 100;  // as the worker says, and below
constexpr int64_t kCompletionTokens = 5;

using Row = test::ScorerRow;

/// {"NAME": {"per_s", "answers"}} for each dataset's scorer, on this thread.
Json rates_of_texts(const std::vector<Row>& rows, double seconds) {
  std::map<std::string, std::vector<const Row*>> groups;
  for (const Row& row : rows) {
    groups[row.task.dataset + " " + to_string(row.scorer)].push_back(&row);
  }
  Json rates;
  for (const auto& [name, group] : groups) {
    const auto start = Clock::now();
    size_t answers = 0;
    double total = 0;
    while (seconds_since(start) < seconds) {
      for (const Row* row : group) {
        total += score_answer(row->task, row->prediction, row->scorer).score;
      }
      answers += group.size();
    }
    rates[name] = {{"per_s", static_cast<double>(answers) / seconds_since(start)},
                   {"answers", answers},
                   {"mean", total / static_cast<double>(answers)}};
  }
  return rates;
}

/// {"per_s", "answers", "at_limit"} of the answers about which text alone cannot tell.
Json rate_of_symbols(const std::vector<Row>& rows, double seconds, const std::string& packages) {
  std::vector<const Row*> open;
  for (const Row& row : rows) {
    if (score_answer(row.task, row.prediction, row.scorer).question) open.push_back(&row);
  }
  SandboxOptions options;
  options.packages = packages;
  Sandbox sandbox(options);
  AnswerScorer scorer(sandbox, {});
  const auto ask = [&](const Row& row) {
    auto verdict = std::make_shared<std::promise<AnswerVerdict>>();
    scorer.submit(row.task, row.prediction,
                  [verdict](const AnswerVerdict& got) { verdict->set_value(got); });
    return verdict->get_future();
  };
  ask(*open.front()).get();  // warm up
  const auto start = Clock::now();
  std::vector<std::future<AnswerVerdict>> waiting;
  size_t answers = 0, at_limit = 0;
  for (size_t next = 0; seconds_since(start) < seconds;) {
    waiting.clear();
    for (int i = 0; i < kInFlight; ++i) waiting.push_back(ask(*open[next++ % open.size()]));
    for (auto& verdict : waiting) {
      const AnswerVerdict got = verdict.get();
      if (!got.infra.empty()) throw Error("bench: " + got.infra);
      at_limit += got.met_limit;
      ++answers;
    }
  }
  return {{"per_s", static_cast<double>(answers) / seconds_since(start)},
          {"answers", answers},
          {"at_limit", at_limit},
          {"rows", open.size()}};
}

/// A worker that answers "42" after `latency`, and prints its port; until standard input ends.
void serve(std::chrono::milliseconds latency) {
  const std::string reply =
      Json{{"id", "bench"},
           {"object", "chat.completion"},
           {"model", "bench"},
           {"choices",
            {{{"index", 0},
              {"message", {{"role", "assistant"}, {"content", "The answer is 42."}}},
              {"finish_reason", "stop"}}}},
           {"usage",
            {{"prompt_tokens", kPromptTokens},
             {"completion_tokens", kCompletionTokens},
             {"total_tokens", kPromptTokens + kCompletionTokens}}}}
          .dump();
  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kServerThreads); };
  server.set_keep_alive_max_count(1 << 30);
  server.set_tcp_nodelay(true);
  server.Post("/v1/chat/completions", [&](const httplib::Request&, httplib::Response& response) {
    std::this_thread::sleep_for(latency);
    response.set_content(reply, "application/json");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  if (port < 0) throw Error("bench: no port on 127.0.0.1");
  std::printf("%s\n", Json{{"port", port}}.dump().c_str());
  std::fflush(stdout);
  std::thread until_closed([&] {
    while (std::getchar() != EOF) {
    }
    server.stop();
  });
  server.listen_after_bind();
  until_closed.join();
}

int run(const std::vector<std::string>& args) {
  if (args.size() == 3 && args[0] == "text") {
    std::puts(rates_of_texts(test::read_scorer_rows(args[1]), std::stod(args[2])).dump().c_str());
  } else if (args.size() == 4 && args[0] == "symbols") {
    std::puts(rate_of_symbols(test::read_scorer_rows(args[1]), std::stod(args[2]), args[3])
                  .dump()
                  .c_str());
  } else if (args.size() == 2 && args[0] == "server") {
    serve(std::chrono::milliseconds(std::stoi(args[1])));
  } else {
    throw InputError(
        "usage: eval_bench text ROWS SECONDS | symbols ROWS SECONDS PACKAGES | server MS");
  }
  return 0;
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  try {
    return weft::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
