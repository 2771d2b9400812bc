/// Whether a run would start here: everything that is in its way, not only what it meets first.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace weft {

/// `key` is the config's key that names the thing. Each call adds at most one problem: one line,
/// what, where, expected and got, with the cure where there is one.
class StartCheck {
 public:
  explicit StartCheck(bool resume) : resume_(resume) {}

  /// A file that can be read.
  void file(const std::string& key, const std::string& path);

  /// Files that can be read, at least one. Whether what they hold can be looked at now: false, too,
  /// where one is standard input, which is there but once.
  bool files(const std::string& key, const std::vector<std::string>& paths);

  /// A folder with a model in Hugging Face's layout: config.json, weights and a tokenizer.
  void model_folder(const std::string& key, const std::string& path);

  /// A folder with a PEFT adapter.
  void adapter_folder(const std::string& key, const std::string& path);

  /// A folder with either.
  void checkpoint_folder(const std::string& key, const std::string& path);

  /// A file that can be written, or standard output ("-"). Nothing is made.
  void output_file(const std::string& key, const std::string& path);

  /// An address and a port that nobody listens on; 0: a free one.
  void port(const std::string& key, const std::string& host, int port);

  /// A folder that a run can be written to: one that can be made or holds no run, or with `resume`
  /// one that holds a run. Nothing is made.
  void run_folder(const std::string& key, const std::string& path);

  /// An environment variable that is set. An empty name asks for none.
  void environment(const std::string& key, const std::string& name);

  /// What `check` throws, but for what has nothing to do with input or machine, is a problem.
  void without_error(const std::function<void()>& check);

  /// A problem that is there already is not added again.
  void add(std::string problem);
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  const bool resume_;
  std::vector<std::string> problems_;
};

}  // namespace weft
