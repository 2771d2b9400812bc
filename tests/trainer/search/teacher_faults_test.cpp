#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "model/remote/remote_model.h"
#include "tests/model/remote/faulty_server.h"
#include "tests/support/support.h"
#include "tests/trainer/search/fakes.h"
#include "trainer/search/collect_traces.h"

namespace weft {
namespace {

using test::completion_reply;
using test::FakeScorer;
using test::FaultyServer;
using test::options_for;

const std::string kGood = "A single step.\n```python\n# Step 1: answer\n```";

struct Bench {
  Bench() {
    for (int i = 0; i < 5; ++i) tasks.push_back(test::code_task("task" + std::to_string(i)));
    options.rounds = 1;
    options.concurrent_queries = 1;
  }
  Json run(const RemoteModelOptions& remote) {
    RemoteModel model(remote);
    ModelGenerator teacher(model, "teacher:m");
    TrajectoryStore store(dir / "store.sqlite");
    const SearchTools tools{teacher, scorer, store, [](const Task& task) { return task.prompt; },
                            "w"};
    return collect_traces(options, tasks, tools, dir.path());
  }
  size_t num_traces() const {
    TrajectoryFilter filter;
    filter.origin = "teacher:m";
    return TrajectoryStore(dir / "store.sqlite").select(filter).size();
  }

  test::TempDir dir;
  TraceOptions options;
  std::vector<Task> tasks;
  FakeScorer scorer;
};

// Every second answer is one of the faults; each is tried again by the model itself.
TEST(TeacherFaults, LoseNoTraceWhenTheyPass) {
  FaultyServer server([](int number, const std::string&, const Json& body, const std::string&) {
    test::Reply fault = completion_reply(body, kGood);
    if (number == 0) fault = {429, "{}", {{"Retry-After", "0"}}};
    if (number == 2) fault = {500, "oops", {}};
    if (number == 4) fault.cut = true;
    if (number == 6) fault.body = "";
    return fault;
  });
  Bench bench;
  const Json report = bench.run(options_for(server));
  EXPECT_EQ(report["traces"], 5);
  EXPECT_EQ(report["failed"], 0);
  EXPECT_EQ(server.num_requests(), 9);
}

TEST(TeacherFaults, KeepWhatWasCollectedWhenTheTeacherGoesAway) {
  const auto good = [](int, const std::string&, const Json& body, const std::string&) {
    return completion_reply(body, kGood);
  };
  FaultyServer dying(
      [&](int number, const std::string& path, const Json& body, const std::string& key) {
        return number < 2 ? good(number, path, body, key) : test::Reply{503, "", {}};
      });
  Bench bench;
  bench.options.max_failures = 2;
  EXPECT_THROW(bench.run(options_for(dying)), Error);
  EXPECT_EQ(bench.num_traces(), 2u);

  FaultyServer back(good);
  EXPECT_EQ(bench.run(options_for(back))["traces"], 5);
  EXPECT_EQ(bench.num_traces(), 5u);
  EXPECT_EQ(back.num_requests(), 3);
}

TEST(TeacherFaults, EndQuietlyWhenTheTeachersOwnBudgetIsSpent) {
  FaultyServer server([](int, const std::string&, const Json& body, const std::string&) {
    return completion_reply(body, kGood);
  });
  Bench bench;
  bench.options.max_failures = 1;
  auto remote = options_for(server);
  remote.usd_per_mtok_out = 1e6;  // 5 dollars an answer
  remote.max_total_usd = 12;
  EXPECT_LT(bench.run(remote)["traces"].get<int>(), 5);
  EXPECT_GT(bench.num_traces(), 0u);
}

TEST(TeacherFaults, LeaveTheKeyInNoFile) {
  setenv("WEFT_TEST_TEACHER_KEY", "sk-not-for-disk", 1);
  std::string sent;
  FaultyServer server([&](int, const std::string&, const Json& body, const std::string& key) {
    sent = key;
    return completion_reply(body, kGood);
  });
  Bench bench;
  auto remote = options_for(server);
  remote.api_key_env = "WEFT_TEST_TEACHER_KEY";
  bench.run(remote);
  EXPECT_THAT(sent, testing::HasSubstr("sk-not-for-disk"));
  for (const auto& entry : fs::recursive_directory_iterator(bench.dir.path())) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(read_file(entry.path()).find("sk-not-for-disk"), std::string::npos) << entry.path();
  }
}

}  // namespace
}  // namespace weft
