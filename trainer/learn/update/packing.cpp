#include "trainer/learn/update/packing.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

#include "model/ops/queued_copy.h"

namespace weft {
namespace {

// A prompt and those of its completions that go into the same microbatch.
struct Unit {
  std::vector<int64_t> members;
  int64_t size = 0;
};

int64_t length(const std::vector<int32_t>& ids) { return static_cast<int64_t>(ids.size()); }

std::vector<Unit> make_units(std::span<const TrainSequence> sequences,
                             const PackingOptions& options) {
  std::vector<Unit> units;
  std::map<std::vector<int32_t>, size_t> open;  // the unit of a prompt that still takes members
  for (size_t i = 0; i < sequences.size(); ++i) {
    const TrainSequence& s = sequences[i];
    if (s.prompt_ids.empty() || s.completion_ids.empty()) {
      throw std::invalid_argument("pack: sequence " + std::to_string(i) +
                                  " has an empty prompt or completion");
    }
    if (!s.trained.empty() &&
        (s.trained.size() != s.completion_ids.size() || s.num_loss_tokens() == 0)) {
      throw std::invalid_argument("pack: sequence " + std::to_string(i) +
                                  " marks none of its completion, or not each token of it");
    }
    const auto found = options.share_prompts ? open.find(s.prompt_ids) : open.end();
    const bool fits = found != open.end() && units[found->second].size + length(s.completion_ids) <=
                                                 options.tokens_per_microbatch;
    if (fits) {
      units[found->second].members.push_back(static_cast<int64_t>(i));
      units[found->second].size += length(s.completion_ids);
    } else {
      if (options.share_prompts) open[s.prompt_ids] = units.size();
      units.push_back({{static_cast<int64_t>(i)}, length(s.prompt_ids) + length(s.completion_ids)});
    }
  }
  return units;
}

class Builder {
 public:
  explicit Builder(std::span<const TrainSequence> sequences) : sequences_(sequences) {}

  void add(const Unit& unit) {
    const TrainSequence& first = sequences_[unit.members.front()];
    if (unit.members.size() == 1) {
      const int64_t start = next_token();
      append(first.prompt_ids, -1);
      extend(first.completion_ids);
      add_rows(unit.members.front(), start + length(first.prompt_ids) - 1, start);
      return;
    }
    const int64_t prompt_sequence = static_cast<int64_t>(lengths_.size());
    append(first.prompt_ids, -1);
    const int64_t last_of_prompt = next_token() - 1;
    for (int64_t member : unit.members) {
      const int64_t start = next_token();
      append(sequences_[member].completion_ids, prompt_sequence);
      add_rows(member, last_of_prompt, start - length(first.prompt_ids));
    }
  }

  Microbatch finish() {
    Microbatch result;
    result.batch = PackedBatch::with_prefixes(lengths_, prefixes_);
    result.ids = tensor(ids_);
    result.rows = tensor(rows_);
    result.targets = tensor(targets_);
    result.spans = std::move(spans_);
    const auto is_one = [](float weight) { return weight == 1; };
    if (!std::all_of(weights_.begin(), weights_.end(), is_one)) result.weights = weights_;
    return result;
  }

 private:
  int64_t next_token() const { return static_cast<int64_t>(ids_.size()); }

  void append(const std::vector<int32_t>& ids, int64_t prefix) {
    lengths_.push_back(0);
    prefixes_.push_back(prefix);
    extend(ids);
  }

  void extend(const std::vector<int32_t>& ids) {
    lengths_.back() += length(ids);
    ids_.insert(ids_.end(), ids.begin(), ids.end());
  }

  // The first completion token is predicted at `first_row`, the later ones by the completion token
  // before them; `text_start` is where the text (prompt included) would start in the batch.
  void add_rows(int64_t member, int64_t first_row, int64_t text_start) {
    const TrainSequence& s = sequences_[member];
    spans_.push_back({member, static_cast<int64_t>(rows_.size()), s.num_loss_tokens()});
    const int64_t completion_start = text_start + length(s.prompt_ids);
    for (int64_t i = 0; i < length(s.completion_ids); ++i) {
      if (!s.trained.empty() && !s.trained[i]) continue;
      rows_.push_back(i == 0 ? first_row : completion_start + i - 1);
      targets_.push_back(s.completion_ids[i]);
      weights_.push_back(static_cast<float>(s.weight));
    }
  }

  static at::Tensor tensor(const std::vector<int64_t>& values) {
    at::Tensor result = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
    std::copy(values.begin(), values.end(), result.data_ptr<int64_t>());
    return result;
  }

  std::span<const TrainSequence> sequences_;
  std::vector<int64_t> ids_, lengths_, prefixes_, rows_, targets_;
  std::vector<CompletionSpan> spans_;
  std::vector<float> weights_;
};

}  // namespace

int64_t TrainSequence::num_loss_tokens() const {
  return trained.empty() ? length(completion_ids)
                         : std::count(trained.begin(), trained.end(), uint8_t{1});
}

Microbatch Microbatch::to(at::Device device) const {
  Microbatch moved = *this;
  if (device.is_cpu()) return moved;
  const at::Tensor all = ops::queued_copy(at::cat({ids, rows, targets}), device);
  moved.ids = all.narrow(0, 0, ids.numel());
  moved.rows = all.narrow(0, ids.numel(), rows.numel());
  moved.targets = all.narrow(0, ids.numel() + rows.numel(), targets.numel());
  return moved;
}

std::vector<std::vector<int64_t>> best_fit_decreasing(std::span<const int64_t> sizes,
                                                      int64_t capacity) {
  std::vector<int64_t> order(sizes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return sizes[a] > sizes[b]; });
  std::vector<std::vector<int64_t>> bins;
  std::set<std::pair<int64_t, int64_t>> room;  // (space left, bin)
  for (int64_t item : order) {
    const auto found = room.lower_bound({sizes[item], 0});
    int64_t bin = static_cast<int64_t>(bins.size());
    int64_t space = capacity;
    if (found == room.end()) {
      bins.emplace_back();
    } else {
      std::tie(space, bin) = *found;
      room.erase(found);
    }
    bins[bin].push_back(item);
    if (space > sizes[item]) room.insert({space - sizes[item], bin});
  }
  return bins;
}

std::vector<Microbatch> pack(std::span<const TrainSequence> sequences,
                             const PackingOptions& options) {
  const std::vector<Unit> units = make_units(sequences, options);
  std::vector<int64_t> sizes;
  for (const Unit& unit : units) sizes.push_back(unit.size);
  std::vector<Microbatch> result;
  for (const auto& bin : best_fit_decreasing(sizes, options.tokens_per_microbatch)) {
    Builder builder(sequences);
    for (int64_t i : bin) builder.add(units[i]);
    result.push_back(builder.finish());
  }
  return result;
}

}  // namespace weft
