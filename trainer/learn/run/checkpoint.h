/// Checkpoints of a training run: `checkpoints/step_N/` is a Hugging Face directory (full weights)
/// or a PEFT directory (adapter) that other tools load, with what a resume needs in `trainer/`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/json.h"
#include "trainer/learn/update/learner.h"

namespace weft {

struct CheckpointOptions {
  int64_t every_steps = 50;  ///< steps between checkpoints; 0: only at the end and when stopped
  int64_t keep = 2;          ///< newest ones kept; >= 1
  /// `base_model_name_or_path` of adapters, say the base's name on a hub; empty: the absolute path
  /// of the base model's folder.
  std::string base_model_name;

  template <class V>
  void visit(V& v) {
    v("every_steps", every_steps, "steps between checkpoints, 0: only at the end");
    v("keep", keep, "newest checkpoints kept");
    v("base_model_name", base_model_name, "the base's name in adapters; empty: its absolute path");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

/// The checkpoints of one run directory.
class CheckpointSet {
 public:
  /// `model_dir` is where the base model came from: its config and tokenizer files are copied into
  /// full-weight checkpoints, its name or absolute path is written into adapters, and what its
  /// weights are (adapter_base.h).
  CheckpointSet(std::filesystem::path run_dir, std::string model_dir,
                const CheckpointOptions& options);

  /// Writes `checkpoints/step_N` whole or not at all (temporary name, then rename), names it in
  /// `checkpoints/latest` and removes all but the newest `keep`. `state` is the caller's. Throws
  /// Error on a full disk, and naming the tensor when a trained weight or the optimizer's state is
  /// not finite; older checkpoints are untouched then.
  void save(int64_t step, Learner& learner, const Json& state);

  bool due(int64_t step) const {
    return options_.every_steps > 0 && step % options_.every_steps == 0;
  }

  /// Directory of the newest complete checkpoint; nothing if there is none.
  std::optional<std::filesystem::path> latest() const;

  /// Copies weights (adapter) and optimizer state of a checkpoint into the learner and returns the
  /// caller's state. Full weights must have been loaded from the same directory already. Bit-exact.
  /// Throws InputError naming the file and what is missing in it, damaged or of no use to this run.
  static Json restore(const std::filesystem::path& dir, Learner& learner);
  /// Where the caller's state of a checkpoint lies.
  static std::filesystem::path state_file(const std::filesystem::path& dir);

  /// `final/`: the newest checkpoint's model files, without `trainer/`, as hard links where the
  /// file system has them.
  void publish_final() const;

 private:
  std::string base_model_name() const;
  std::vector<std::pair<int64_t, std::filesystem::path>> list() const;

  std::filesystem::path run_dir_, folder_;
  std::string model_dir_;
  CheckpointOptions options_;
  std::string base_weights_;  ///< fingerprint of those in model_dir_
};

/// Does `work`. Whatever it throws reaches the caller after `save` has run; where that fails too,
/// as an Error that says both.
void save_on_failure(const std::function<void()>& work, const std::function<void()>& save);

}  // namespace weft
