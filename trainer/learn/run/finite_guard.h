/// A step whose gradient is not finite: what is kept of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "model/tokenizer/tokenizer.h"
#include "trainer/learn/update/packing.h"

namespace weft {

/// Writes the batch of a step to non_finite/step_N.json in the run folder: {"step", "tensor",
/// "sequences": [{"prompt_ids", "completion_ids", "prompt", "completion"}]}, `tensor` being the
/// first parameter whose gradient is not finite. Returns one line for the log that names step,
/// tensor and file; where the file cannot be written it says so instead.
std::string keep_non_finite_batch(const std::filesystem::path& run_dir, int64_t step,
                                  const std::string& tensor,
                                  std::span<const TrainSequence> sequences,
                                  const Tokenizer& tokenizer);

}  // namespace weft
