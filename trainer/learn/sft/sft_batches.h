/// Which examples a step of SFT takes, encoded a step ahead.
#pragma once

#include <cstdint>
#include <future>
#include <string>
#include <vector>

#include "trainer/learn/sft/sft_data.h"
#include "trainer/learn/update/packing.h"

namespace weft {

struct SftConfig;

/// Each epoch is its own seeded permutation, the last step of an epoch may be smaller. A function
/// of the step alone, so a resume needs no cursor. Holds the order of one epoch, four bytes an
/// example.
class SftSchedule {
 public:
  /// Throws InputError above 2^32 - 1 examples.
  SftSchedule(int64_t num_examples, const SftConfig& config);
  int64_t num_steps() const { return num_steps_; }
  std::vector<int64_t> batch(int64_t step);

 private:
  int64_t num_examples_, per_step_, steps_per_epoch_, num_steps_;
  uint64_t seed_;
  int64_t epoch_ = -1;  ///< that order_ is of
  std::vector<uint32_t> order_;
};

/// The sequences of one step.
struct SftBatch {
  std::vector<TrainSequence> sequences;
  std::vector<int64_t> examples;  ///< [sequences] which example each is of; each one's together

  void leave_out(const std::vector<int64_t>& these);
};

/// Encodes the examples of a step and, on a thread of its own, those of the next one: no more than
/// two steps are held. Used by one thread at a time.
class SftBatches {
 public:
  /// Borrows `source`, which nobody else may use meanwhile.
  SftBatches(const ExampleSource& source, SftSchedule schedule)
      : source_(source), schedule_(std::move(schedule)) {}
  SftBatches(const SftBatches&) = delete;
  SftBatches& operator=(const SftBatches&) = delete;

  int64_t num_steps() const { return schedule_.num_steps(); }

  /// Throws InputError where an example of this step cannot be read.
  SftBatch at(int64_t step);

  /// Where an example stands.
  std::string where(int64_t example) const;

 private:
  SftBatch encode(const std::vector<int64_t>& examples) const;

  const ExampleSource& source_;
  SftSchedule schedule_;
  int64_t ahead_step_ = -1;
  std::future<SftBatch> ahead_;
};

}  // namespace weft
