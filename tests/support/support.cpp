#include "tests/support/support.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>

namespace weft::test {
namespace fs = std::filesystem;

namespace {

std::vector<char*> c_arguments(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const auto& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  return arguments;
}

int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Starts `command` with the three descriptors as its standard ones.
pid_t start(const std::vector<std::string>& command, int in, int out, int err, bool own_group) {
  const auto arguments = c_arguments(command);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("fork failed");
  if (pid == 0) {
    if (own_group) setpgid(0, 0);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  return pid;
}

std::string read_all(const fs::path& path) {
  std::string text;
  if (FILE* file = std::fopen(path.c_str(), "rb")) {
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
    std::fclose(file);
  }
  return text;
}

}  // namespace

fs::path source_dir() {
  const char* moved = std::getenv("WEFT_SOURCE_DIR");
  return moved ? moved : WEFT_SOURCE_DIR;
}

fs::path fixture(const std::string& name) { return source_dir() / "tests" / "fixtures" / name; }

fs::path program(const std::string& name) { return fs::path(WEFT_PROGRAM_DIR) / name; }

fs::path reference_data() {
  const char* path = std::getenv("WEFT_TEST_DATA");
  return path ? fs::canonical(path) : fs::path();
}

std::filesystem::path test_packages(const std::string& name) {
  const auto libraries = source_dir() / ".venv-test" / "lib";
  if (!std::filesystem::exists(libraries)) return {};
  for (const auto& python : std::filesystem::directory_iterator(libraries)) {
    const auto packages = python.path() / "site-packages";
    if (std::filesystem::exists(packages / name)) return packages;
  }
  return {};
}

TempDir::TempDir() {
  std::string name = (fs::temp_directory_path() / "weft-test-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed: " + name);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

ProgramRun run_program(const std::vector<std::string>& command, const std::string& input,
                       double timeout_s) {
  TempDir dir;
  const auto in_path = dir / "in", out_path = dir / "out", err_path = dir / "err";
  if (FILE* file = std::fopen(in_path.c_str(), "wb")) {
    std::fwrite(input.data(), 1, input.size(), file);
    std::fclose(file);
  }
  const int in = open(in_path.c_str(), O_RDONLY | O_CLOEXEC);
  const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int err = open(err_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t pid = start(command, in, out, err, false);
  for (int fd : {in, out, err}) close(fd);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {exit_code_of(status), read_all(out_path), read_all(err_path)};
}

bool wait_until(const std::function<bool()>& condition, double timeout_s) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

int64_t count_lines(const fs::path& path) {
  const std::string text = read_all(path);
  return std::count(text.begin(), text.end(), '\n');
}

std::vector<std::string> unfinished_files(const fs::path& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    const std::string name = fs::relative(entry.path(), dir);
    if (name.find(".tmp") != std::string::npos) names.push_back(name);
  }
  return names;
}

BackgroundProgram::BackgroundProgram(const std::vector<std::string>& command, const fs::path& log) {
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  pid_ = start(command, in, out, out, true);
  setpgid(pid_, pid_);  // also here: the child may not have come to it yet
  close(in);
  close(out);
}

BackgroundProgram::~BackgroundProgram() {
  if (pid_ < 0) return;
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void BackgroundProgram::signal(int number) {
  if (pid_ > 0) kill(pid_, number);
}

void BackgroundProgram::signal_group(int number) {
  if (pid_ > 0) kill(-pid_, number);
}

bool BackgroundProgram::running() {
  if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

int BackgroundProgram::wait() {
  if (pid_ > 0) waitpid(pid_, &status_, 0);
  pid_ = -1;
  return exit_code_of(status_);
}

}  // namespace weft::test
