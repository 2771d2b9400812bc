#include "tests/sandbox/jail_support.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/file.h"

namespace weft::test {

SandboxOptions sandbox_options(int num_slots) {
  SandboxOptions options;
  options.num_slots = num_slots;
  options.zygote_path = program("weft_zygote").string();
  return options;
}

Sandbox& shared_sandbox() {
  static Sandbox sandbox(sandbox_options());
  return sandbox;
}

Judge& shared_judge() {
  static Judge judge(shared_sandbox());
  return judge;
}

JudgeRequest call_request(const std::string& code, const std::string& entry_point) {
  JudgeRequest request;
  request.code = code;
  request.entry_point = entry_point;
  request.limits.cpu_ms = 200;
  request.limits.memory_mb = 256;
  return request;
}

Json call_test(Json arg, Json expected) {
  return Json{{"args", Json::array({std::move(arg)})}, {"expected", std::move(expected)}};
}

std::string hostile_program(const std::string& name) {
  return read_file(source_dir() / "tests/sandbox/hostile" / (name + ".py"));
}

std::set<int> descendants() {
  std::map<int, int> parents;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream stat(entry.path() / "stat");
    std::string line;
    if (!std::getline(stat, line)) continue;
    const size_t end = line.rfind(')');
    if (end == std::string::npos) continue;
    parents[std::stoi(line)] = std::stoi(line.substr(end + 4));
  }
  std::set<int> found;
  for (const auto& [pid, parent] : parents) {
    for (int at = pid; parents.count(at); at = parents[at]) {
      if (parents[at] == getpid()) found.insert(pid);
    }
  }
  return found;
}

int num_open_descriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

}  // namespace weft::test
