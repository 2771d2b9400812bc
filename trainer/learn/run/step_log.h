/// What a training run leaves of each of its steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/jsonl.h"
#include "base/metrics.h"

namespace weft {

/// metrics.jsonl with its TensorBoard file, and a file of rows beside it. A checkpoint and these
/// files together are whole: a step whose lines could not be written hands them to the checkpoint,
/// and the resumed run writes them.
class StepLog {
 public:
  /// For a run that goes on after `step`. `rows_file` is made with the first row. Lines of later
  /// steps are moved aside (base/jsonl.h); then those in `unwritten`, what the run before had from
  /// unwritten(), are written. Throws Error.
  StepLog(const std::filesystem::path& run_dir, const std::string& rows_file, int64_t step,
          const Json& unwritten);

  /// `metrics` is a flat object, `rows` are objects. Throws Error when the disk is full, ...
  void write(int64_t step, const Json& metrics, const std::vector<Json>& rows);

  /// The lines of a step whose write failed, or null.
  const Json& unwritten() const { return unwritten_; }

 private:
  std::filesystem::path rows_path_;
  std::unique_ptr<MetricWriter> metrics_;
  std::unique_ptr<JsonlWriter> rows_;
  Json unwritten_;
};

}  // namespace weft
