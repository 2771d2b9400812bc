#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "bench/sandbox/measure.h"
#include "sandbox/judge/judge.h"

namespace weft::bench {
namespace {

constexpr const char* kCode = "def f(x):\n    return 2 * x\n";

void require(bool ok, const char* what) {
  if (!ok) throw Error(std::string("bench: bare_fork: ") + what);
}

/// The program bare_fork, beside this one.
class BareFork {
 public:
  BareFork() {
    int in[2], out[2];
    require(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    const auto self = std::filesystem::read_symlink("/proc/self/exe");
    std::string path = self.parent_path() / "bare_fork";
    char* arguments[] = {path.data(), nullptr};
    const int error = posix_spawn(&pid_, path.c_str(), &actions, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    to_ = in[1];
    from_ = out[0];
    require(error == 0, "cannot be executed");
  }
  ~BareFork() {
    close(to_);
    close(from_);
    waitpid(pid_, nullptr, 0);
  }
  BareFork(const BareFork&) = delete;
  BareFork& operator=(const BareFork&) = delete;

  void run(const std::string& code) {
    const auto size = static_cast<uint32_t>(code.size());
    std::string job(reinterpret_cast<const char*>(&size), sizeof size);
    job += code;
    require(write(to_, job.data(), job.size()) == static_cast<ssize_t>(job.size()), "is gone");
    int64_t answer = 0;
    require(read(from_, &answer, sizeof answer) == sizeof answer && answer == 4, "wrong answer");
  }

 private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
};

}  // namespace

Json measure_isolation(double seconds) {
  SandboxOptions options;
  options.num_slots = 1;
  Sandbox sandbox(options);
  Judge judge(sandbox);
  BareFork bare_fork;
  JudgeRequest light;
  light.code = kCode;
  light.entry_point = "f";
  light.tests = {{{"args", {2}}, {"expected", 4}}};
  light.limits.scratch_mb = 0;
  JudgeRequest full = light;
  full.limits.scratch_mb = 16;
  const auto judged = [&](const JudgeRequest& request) {
    return ms_of([&] {
      const Verdict verdict = judge.run(request);
      if (verdict.passed != 1) throw Error("bench: got " + verdict.row_verdict());
    });
  };
  std::vector<double> bare_ms, light_ms, full_ms;
  for (int i = 0; i < 5; ++i) {  // warm up
    bare_fork.run(kCode);
    judged(full);
  }
  for (const auto start = Clock::now(); seconds_since(start) < seconds;) {
    bare_ms.push_back(ms_of([&] { bare_fork.run(kCode); }));
    light_ms.push_back(judged(light));
    full_ms.push_back(judged(full));
  }
  const double bare = quantile(bare_ms, 0.1);
  return {{"bare_p10_ms", bare},
          {"light_extra_ms", quantile(light_ms, 0.1) - bare},
          {"full_extra_ms", quantile(full_ms, 0.1) - bare},
          {"runs", bare_ms.size()}};
}

}  // namespace weft::bench
