#include "trainer/learn/sft/sft_batches.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"
#include "trainer/learn/sft/train_sft_program.h"

namespace weft {

SftSchedule::SftSchedule(int64_t num_examples, const SftConfig& config)
    : num_examples_(num_examples),
      per_step_(config.sequences_per_step),
      steps_per_epoch_((num_examples + per_step_ - 1) / per_step_),
      num_steps_(steps_per_epoch_ * config.epochs),
      seed_(config.seed) {
  if (num_examples > int64_t{UINT32_MAX}) {
    throw InputError("expected at most 2^32 - 1 examples, got " + std::to_string(num_examples));
  }
  if (config.max_steps > 0) num_steps_ = std::min(num_steps_, config.max_steps);
}

std::vector<int64_t> SftSchedule::batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch_;
  if (epoch != epoch_) {
    order_.resize(num_examples_);
    std::iota(order_.begin(), order_.end(), 0);
    Rng(seed_, static_cast<uint64_t>(epoch)).shuffle(order_);
    epoch_ = epoch;
  }
  const int64_t begin = (step % steps_per_epoch_) * per_step_;
  const int64_t end = std::min(begin + per_step_, num_examples_);
  return {order_.begin() + begin, order_.begin() + end};
}

void SftBatch::leave_out(const std::vector<int64_t>& these) {
  size_t kept = 0;
  for (size_t i = 0; i < examples.size(); ++i) {
    if (std::find(these.begin(), these.end(), examples[i]) != these.end()) continue;
    if (kept != i) sequences[kept] = std::move(sequences[i]);
    examples[kept++] = examples[i];
  }
  sequences.resize(kept);
  examples.resize(kept);
}

SftBatch SftBatches::encode(const std::vector<int64_t>& examples) const {
  SftBatch batch;
  for (const int64_t i : examples) {
    for (TrainSequence& sequence : source_.encode(i)) {
      batch.sequences.push_back(std::move(sequence));
      batch.examples.push_back(i);
    }
  }
  return batch;
}

SftBatch SftBatches::at(int64_t step) {
  if (ahead_.valid() && ahead_step_ != step) ahead_.wait();  // the source is one thread's
  SftBatch batch =
      ahead_.valid() && ahead_step_ == step ? ahead_.get() : encode(schedule_.batch(step));
  ahead_step_ = step + 1;
  if (ahead_step_ < num_steps()) {
    ahead_ = std::async(std::launch::async, [this, examples = schedule_.batch(ahead_step_)] {
      return encode(examples);
    });
  }
  return batch;
}

std::string SftBatches::where(int64_t example) const {
  if (ahead_.valid()) ahead_.wait();
  return source_.where(example);
}

}  // namespace weft
