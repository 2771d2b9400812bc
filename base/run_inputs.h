/// What a run's results depend on beside its config: fingerprints of the files behind the paths, so
/// that a resumed run does not take others without a word.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/json.h"

namespace weft {

/// Visited under "resume" by every program with --resume.
struct ResumeOptions {
  std::vector<std::string> allow;

  template <class V>
  void visit(V& v) {
    v("allow", allow, "with --resume: inputs and config keys that may differ from the run's");
  }
};

/// Named 64-bit fingerprints, by which a change is noticed and none is proved absent: they are no
/// cryptographic hashes. Data is read whole; a file of weights above 64 MiB by its size, its first
/// and last MiB and 64 KiB of every 1/256 of it (18 MiB read).
class RunInputs {
 public:
  /// Whole files. None is as good as any other input. "-" is left out: it cannot be read again.
  RunInputs& files(const std::string& name, const std::vector<std::string>& paths);

  /// The model files of a Hugging Face or PEFT directory: `name` for config and weights,
  /// "tokenizer" and "chat_template" for these ("NAME.tokenizer", "NAME.chat_template" unless
  /// `name` is "model"). An empty path adds nothing.
  RunInputs& model(const std::string& name, const std::filesystem::path& dir);

  /// Content that is no file of its own, such as the rows taken from a store; `source` is shown.
  RunInputs& content(const std::string& name, uint64_t hash, const std::string& source);

  /// {NAME: {"hash": "16 digits", "source": PATH}}.
  Json to_json() const;

 private:
  void put(const std::string& name, uint64_t hash, const std::string& source);
  struct Input {
    uint64_t hash = 0;
    std::string source;
  };
  std::map<std::string, Input> inputs_;
};

/// What a program tells its run about the models that it has opened.
struct RunModels {
  RunInputs inputs;
  /// OpenModels::clock_reasons, asked at the end; may be null.
  std::function<std::vector<std::string>()> clock_reasons;
  std::function<int64_t()> tokens;  ///< decoded in this process so far; any thread, may be null
};

/// Hash of a file's bytes; see RunInputs for `sampled`. Throws InputError when it cannot be read.
uint64_t hash_file(const std::filesystem::path& path, bool sampled = false);

}  // namespace weft
