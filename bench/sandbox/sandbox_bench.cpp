// sandbox_bench [SECONDS] [ROW...]: measures the sandbox, one JSON object on standard output.
// Rows: light_min full_min light_std full_std isolation tests slots kill channel memory sustained
// numpy:PACKAGES, where PACKAGES is a folder with numpy.
// Those that are about one core run on the core that the caller pinned the process to.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <thread>

#include "base/error.h"
#include "bench/sandbox/measure.h"
#include "sandbox/judge/judge.h"

namespace weft::bench {
namespace {

constexpr const char* kMin = "def f(x):\n    return 2 * x\n";
constexpr const char* kStd = "from typing import List\nimport json\ndef f(x):\n    return 2 * x\n";
constexpr int kSustainedJobs = 10000;

JudgeRequest request_of(const char* code, int num_tests = 1) {
  JudgeRequest request;
  request.code = code;
  request.entry_point = "f";
  for (int i = 0; i < num_tests; ++i) {
    request.tests.push_back({{"args", {i}}, {"expected", 2 * i}});
  }
  return request;
}

void must_pass(Judge& judge, const JudgeRequest& request) {
  const Verdict verdict = judge.run(request);
  if (verdict.passed != verdict.declared) throw Error("bench: got " + verdict.row_verdict());
}

SandboxOptions slots(int count) {
  SandboxOptions options;
  options.num_slots = count;
  return options;
}

Json measure_jobs(double seconds, const char* code, int64_t scratch_mb) {
  Sandbox sandbox(slots(1));
  Judge judge(sandbox);
  auto request = request_of(code);
  request.limits.scratch_mb = scratch_mb;
  return rate_of(seconds, [&] { must_pass(judge, request); });
}

Json measure_tests(double seconds) {
  Sandbox sandbox(slots(1));
  Judge judge(sandbox);
  const auto one = request_of(kMin, 1), hundred = request_of(kMin, 100),
             many = request_of(kMin, 1000);
  const Json a = rate_of(seconds, [&] { must_pass(judge, one); });
  const Json b = rate_of(seconds, [&] { must_pass(judge, hundred); });
  const Json c = rate_of(seconds, [&] { must_pass(judge, many); });
  return {{"extra_ms_of_100_tests", b["p50_ms"].get<double>() - a["p50_ms"].get<double>()},
          {"calls_per_s_at_100", 100 * b["per_s"].get<double>()},
          {"calls_per_s_at_1000", 1000 * c["per_s"].get<double>()}};
}

double jobs_per_s(int num_slots, double seconds) {
  Sandbox sandbox(slots(num_slots));
  Judge judge(sandbox);
  const auto request = request_of(kMin);
  std::atomic<int> done{0}, open{0};
  const auto submit = [&] {
    ++open;
    judge.submit(request, [&](const Verdict& verdict) {
      done += verdict.passed;
      --open;
    });
  };
  const auto drain = [&] {
    while (open > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  for (int i = 0; i < 50 * num_slots; ++i) submit();  // every slot starts its zygote
  drain();
  done = 0;
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    if (open < 4 * num_slots) {
      submit();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  const double rate = done / seconds_since(start);
  drain();
  return rate;
}

Json measure_slots(double seconds) {
  const double one = jobs_per_s(1, seconds), two = jobs_per_s(2, seconds);
  return {{"one_per_s", one}, {"two_per_s", two}, {"ratio", two / one}};
}

// From the deadline to the free slot.
Json kill_latency(Judge& judge, JudgeRequest request, int64_t wall_ms, int runs) {
  request.limits.wall_ms = wall_ms;
  request.limits.cpu_ms = 60000;
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    const auto start = Clock::now();
    const Verdict verdict = judge.run(request);
    if (verdict.row_verdict() != "TIME_WALL") throw Error("bench: got " + verdict.row_verdict());
    times.push_back(1000 * seconds_since(start) - static_cast<double>(wall_ms));
  }
  return {{"p50_ms", quantile(times, 0.5)}, {"max_ms", quantile(times, 1.0)}, {"runs", runs}};
}

Json measure_kill(Sandbox& sandbox) {
  Judge judge(sandbox);
  auto bomb = request_of(
      "import os, time\ndef f(x):\n    try:\n        while os.fork():\n            pass\n"
      "    except OSError:\n        pass\n    while True:\n        time.sleep(1)\n");
  bomb.limits.max_procs = 64;
  // Both include what a job costs beside its limit, its start above all.
  const double scale = sandbox.time_scale();
  if (scale > 1) return {{"error", "the machine is slower than the reference: limits are scaled"}};
  return {
      {"busy_loop", kill_latency(judge, request_of("def f(x):\n    while True: pass\n"), 200, 20)},
      {"bomb_of_64", kill_latency(judge, bomb, 500, 5)}};
}

Json measure_sustained() {
  Sandbox sandbox(slots(2));
  Judge judge(sandbox);
  const auto good = request_of(kMin);
  std::vector<double> thousands;
  const auto zygotes = descendants();
  const double before_mb = memory_mb(zygotes, "Rss:");
  for (int done = 0; done < kSustainedJobs; done += 1000) {
    const auto start = Clock::now();
    for (int i = 0; i < 1000; ++i) must_pass(judge, good);
    thousands.push_back(1000 / seconds_since(start));
  }
  return {{"jobs", kSustainedJobs},
          {"first_1000_per_s", thousands.front()},
          {"last_1000_per_s", thousands.back()},
          {"last_to_first", thousands.back() / thousands.front()},
          {"rss_mb_before", before_mb},
          {"rss_mb_after", memory_mb(zygotes, "Rss:")}};
}

double slot_pss_mb(const SandboxOptions& options) {
  const Sandbox sandbox(options);
  return memory_mb(descendants(), "Pss:");
}

Json measure_memory() {
  const double zygote_mb = slot_pss_mb(slots(1));
  Sandbox sandbox(slots(1));
  Json row = measure_waiting_workflows(sandbox, 200);
  row["slot_pss_mb"] = zygote_mb;
  return row;
}

// What a slot's zygote with numpy takes beside the others, which start without it as well.
Json measure_numpy(const std::string& packages) {
  SandboxOptions with_numpy = slots(1);
  with_numpy.packages = packages;
  return {{"pss_mb", slot_pss_mb(with_numpy) - slot_pss_mb(slots(1))}};
}

Json measure(const std::string& row, double seconds) {
  if (row == "light_min") return measure_jobs(seconds, kMin, 0);
  if (row == "full_min") return measure_jobs(seconds, kMin, 16);
  if (row == "light_std") return measure_jobs(seconds, kStd, 0);
  if (row == "full_std") return measure_jobs(seconds, kStd, 16);
  if (row == "isolation") return measure_isolation(seconds);
  if (row == "tests") return measure_tests(seconds);
  if (row == "slots") return measure_slots(seconds);
  if (row == "sustained") return measure_sustained();
  if (row == "memory") return measure_memory();
  if (row.starts_with("numpy:")) return measure_numpy(row.substr(6));
  Sandbox sandbox(slots(1));
  if (row == "kill") return measure_kill(sandbox);
  if (row == "channel") return measure_channel(sandbox);
  throw InputError("bench: unknown row \"" + row + "\"");
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  try {
    const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 3;
    weft::Json results = weft::Json::object();
    for (int i = 2; i < argc; ++i) results[argv[i]] = weft::bench::measure(argv[i], seconds);
    std::puts(results.dump().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
