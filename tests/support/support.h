/// What several test programs share: places, temporary folders, running a built program.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace weft::test {

/// Root of the source tree, or the folder that the environment variable WEFT_SOURCE_DIR names: test
/// programs that run elsewhere find tests/fixtures there.
std::filesystem::path source_dir();

/// A file of tests/fixtures.
std::filesystem::path fixture(const std::string& name);

/// The built program of this name.
std::filesystem::path program(const std::string& name);

/// The folder that the environment variable WEFT_TEST_DATA names: tokenizers and templates of
/// models that the project holds no copy of. Empty where it is not set; tests that need it skip and
/// say so.
std::filesystem::path reference_data();

/// The site-packages of .venv-test, where they hold a package of this name; else an empty path.
/// Tests that need it skip and say so.
std::filesystem::path test_packages(const std::string& name);

/// A folder that is removed with everything in it at the end of the object's life.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

struct ProgramRun {
  int exit_code = 0;  ///< 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

/// Runs a program to its end with the given standard input; kills it after `timeout_s`.
ProgramRun run_program(const std::vector<std::string>& command, const std::string& input = "",
                       double timeout_s = 120);

/// Looks every few milliseconds; false when it was not true within the time.
bool wait_until(const std::function<bool()>& condition, double timeout_s = 60);

/// Lines of a file; 0 where there is none.
int64_t count_lines(const std::filesystem::path& path);

/// Names under a folder that belong to something half written (".tmp" in them), relative to it.
std::vector<std::string> unfinished_files(const std::filesystem::path& dir);

/// A program that runs beside the test, in a process group of its own. The destructor kills it if
/// it still lives.
class BackgroundProgram {
 public:
  /// Starts it with standard output and error appended to `log`.
  BackgroundProgram(const std::vector<std::string>& command, const std::filesystem::path& log);
  ~BackgroundProgram();
  BackgroundProgram(const BackgroundProgram&) = delete;
  BackgroundProgram& operator=(const BackgroundProgram&) = delete;
  void signal(int number);
  /// Signals its children too, as Ctrl-C on a terminal does.
  void signal_group(int number);
  bool running();
  /// Waits for its end; the exit code as in ProgramRun.
  int wait();
  int pid() const { return pid_; }

 private:
  int pid_ = -1;
  int status_ = 0;  ///< of waitpid, once pid_ is -1
};

}  // namespace weft::test
