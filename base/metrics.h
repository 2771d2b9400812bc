/// One line of numbers a step: metrics.jsonl, and the same scalars as a TensorBoard event file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/jsonl.h"

namespace weft {

class MetricWriter {
 public:
  /// Writes into `dir`. With `resume_step` >= 0, lines of later steps (from before a crash) are
  /// first moved to metrics.jsonl.aside, so that an interrupted and resumed run leaves the same
  /// file as one that was not interrupted; later records of its event files go to `events.aside.*`,
  /// which TensorBoard does not read. Throws Error.
  explicit MetricWriter(const std::filesystem::path& dir, int64_t resume_step = -1);

  /// `values` is a flat object; its finite numbers also go to TensorBoard. "step" is put first;
  /// null stands for what was not measured or is not finite.
  void write(int64_t step, const Json& values);

 private:
  std::unique_ptr<JsonlWriter> lines_;
  std::ofstream events_;
  std::string events_name_;
};

/// CRC-32C (Castagnoli), as TFRecord files use it.
uint32_t crc32c(std::string_view data);

}  // namespace weft
