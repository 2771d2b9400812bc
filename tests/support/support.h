/// What several test programs share: places, temporary folders, running a built program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace weft::test {

/// Root of the source tree.
std::filesystem::path source_dir();

/// A file of tests/fixtures.
std::filesystem::path fixture(const std::string& name);

/// The built program of this name.
std::filesystem::path program(const std::string& name);

/// The reference data kept outside the project (beside it, in shared/data), or an empty path where
/// there is none; tests that need it skip and say so.
std::filesystem::path shared_data();

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

/// A program that runs beside the test. The destructor kills it if it still lives.
class BackgroundProgram {
 public:
  /// Starts it with standard output and error appended to `log`.
  BackgroundProgram(const std::vector<std::string>& command, const std::filesystem::path& log);
  ~BackgroundProgram();
  BackgroundProgram(const BackgroundProgram&) = delete;
  BackgroundProgram& operator=(const BackgroundProgram&) = delete;
  void signal(int number);
  /// Waits for its end; the exit code as in ProgramRun.
  int wait();
  int pid() const { return pid_; }

 private:
  int pid_ = -1;
};

}  // namespace weft::test
