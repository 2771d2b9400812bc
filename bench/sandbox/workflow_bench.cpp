#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "bench/sandbox/measure.h"
#include "sandbox/workflow/workflow_process.h"

namespace weft::bench {
namespace {

// Answers at once, or never until it is released.
class InstantWorker : public Worker {
 public:
  explicit InstantWorker(bool holds) : holds_(holds) {}

  Bound bound(const WorkerRequest&) const override { return {}; }

  void submit(WorkerRequest, std::function<void(WorkerReply)> done) override {
    std::unique_lock lock(mutex_);
    if (holds_) {
      held_.push_back(std::move(done));
      changed_.notify_all();
      return;
    }
    lock.unlock();
    done(reply());
  }

  void wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(120), [&] { return held_.size() >= count; });
  }

  void release() {
    std::vector<std::function<void(WorkerReply)>> held;
    {
      const std::lock_guard lock(mutex_);
      holds_ = false;
      held.swap(held_);
    }
    for (auto& done : held) done(reply());
  }

 private:
  static WorkerReply reply() {
    WorkerReply reply;
    reply.texts = {"x"};
    return reply;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool holds_;
  std::vector<std::function<void(WorkerReply)>> held_;
};

WorkflowJob job_of(const std::string& body) {
  WorkflowJob job;
  job.problem = "P";
  job.code =
      "import asyncio, json, time\nclass Workflow:\n"
      "    def __init__(self, name, llm_config, dataset):\n"
      "        self.llm = create_llm_instance(llm_config)\n"
      "    async def __call__(self, problem):\n" +
      body;
  job.budget.max_calls = 1 << 20;
  job.budget.cpu_ms = 60000;
  return job;
}

constexpr const char* kRoundTrips =
    "        times = []\n"
    "        for _ in range(5000):\n"
    "            start = time.perf_counter()\n"
    "            await self.llm.call_llm(messages=['x'])\n"
    "            times.append(1e6 * (time.perf_counter() - start))\n"
    "        times.sort()\n"
    "        start = time.perf_counter()\n"
    "        for _ in range(100):\n"
    "            await asyncio.gather(*[self.llm.call_llm(messages=['x']) for _ in range(100)])\n"
    "        rate = 10000 / (time.perf_counter() - start)\n"
    "        return json.dumps({'p50_us': times[2500], 'p99_us': times[4950], 'per_s': rate}), "
    "0.0\n";

constexpr const char* kWait = "        return (await self.llm.call_llm(messages=['x']))[0], 0.0\n";

}  // namespace

Json measure_channel(Sandbox& sandbox) {
  Judge judge(sandbox);
  InstantWorker worker(false);
  WorkflowHost host(sandbox, judge, worker);
  const auto result = host.run(job_of(kRoundTrips));
  if (result.answer.empty()) return {{"error", result.error}};
  return parse_json(result.answer, "channel");
}

Json measure_waiting_workflows(Sandbox& sandbox, int count) {
  Judge judge(sandbox);
  InstantWorker worker(true);
  const auto before = descendants();
  WorkflowHost host(sandbox, judge, worker, count);
  std::mutex mutex;
  std::condition_variable changed;
  int ended = 0, answered = 0;
  for (int i = 0; i < count; ++i) {
    host.start(job_of(kWait), [&](WorkflowResult result) {
      const std::lock_guard lock(mutex);
      ++ended;
      answered += result.status == WorkflowResult::Status::kAnswered;
      changed.notify_all();
    });
  }
  worker.wait_for(static_cast<size_t>(count));
  std::vector<int> workflows;
  for (const int pid : descendants()) {
    if (std::find(before.begin(), before.end(), pid) == before.end()) workflows.push_back(pid);
  }
  const double private_mb =
      memory_mb(workflows, "Private_Dirty:") + memory_mb(workflows, "Private_Clean:");
  worker.release();
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return ended == count; });
  return {{"workflows", count},
          {"answered", answered},
          {"private_mb_each", private_mb / static_cast<double>(workflows.size())}};
}

double memory_mb(const std::vector<int>& pids, const char* field) {
  double kb = 0;
  for (const int pid : pids) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with(field)) kb += std::stod(line.substr(line.find(':') + 1));
    }
  }
  return kb / 1024;
}

std::vector<int> descendants() {
  std::map<int, int> parents;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream stat(entry.path() / "stat");
    std::string line;
    if (!std::getline(stat, line) || line.rfind(')') == std::string::npos) continue;
    parents[std::stoi(line)] = std::stoi(line.substr(line.rfind(')') + 4));
  }
  std::vector<int> found;
  for (const auto& [pid, parent] : parents) {
    for (int at = pid; parents.count(at); at = parents[at]) {
      if (parents[at] == getpid()) {
        found.push_back(pid);
        break;
      }
    }
  }
  return found;
}

}  // namespace weft::bench
