#include "trainer/learn/sft/sft_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "base/line_file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/stop.h"
#include "data/task.h"
#include "workflow/completion_form.h"

namespace weft {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kMaxLineBytes = 64 * kMiB;
constexpr uint64_t kShowProgressAbove = 64 * kMiB;
constexpr size_t kNamedTooLong = 5;

/// One line's example. Every complaint begins with its place.
ExampleLine read_line(const std::string& text, const std::string& where, TrainTurns train_turns,
                      FieldCounts& further) {
  return parse_example_line(parse_json_row(text, where), where, train_turns, further);
}

std::vector<TrainSequence> encode_line(const ExampleLine& example, const std::string& where,
                                       const ExampleEncoder& encoder, int64_t max_tokens) {
  try {
    return encoder.encode(example, max_tokens);
  } catch (const std::invalid_argument& error) {
    throw InputError(where + ": " + error.what());
  } catch (const InputError& error) {
    throw InputError(where + ": " + error.what());
  }
}

int64_t longest(const std::vector<TrainSequence>& sequences) {
  size_t result = 0;
  for (const TrainSequence& s : sequences) {
    result = std::max(result, s.prompt_ids.size() + s.completion_ids.size());
  }
  return static_cast<int64_t>(result);
}

/// Counts an example; false where it is left out.
bool count_example(const std::vector<TrainSequence>& sequences, const std::string& where,
                   const SftDataOptions& options, SftDataCounts& counts) {
  if (sequences.front().weight == 0) {
    ++counts.zero_weight;
    return false;
  }
  const int64_t tokens = longest(sequences);
  if (tokens > options.max_tokens) {
    ++counts.too_long;
    if (counts.first_too_long.size() < kNamedTooLong) {
      counts.first_too_long.push_back(fmt::format("{} (at least {} tokens)", where, tokens));
    }
    return false;
  }
  ++counts.examples;
  counts.divided += sequences.size() > 1;
  for (const TrainSequence& s : sequences) {
    ++counts.sequences;
    counts.tokens += static_cast<int64_t>(s.prompt_ids.size() + s.completion_ids.size());
    counts.trained_tokens += s.num_loss_tokens();
  }
  return true;
}

std::string named_too_long(const SftDataCounts& counts) {
  std::string names;
  for (const std::string& one : counts.first_too_long) names += (names.empty() ? "" : ", ") + one;
  const bool more = counts.too_long > static_cast<int64_t>(counts.first_too_long.size());
  return more ? names + ", ..." : names;
}

void check_not_empty(const SftDataCounts& counts, const SftDataOptions& options,
                     const std::string& source) {
  if (counts.examples > 0) return;
  std::string why;
  if (counts.too_long > 0) {
    why = fmt::format(" ({} longer than max_tokens, here {}: {})", counts.too_long,
                      options.max_tokens, named_too_long(counts));
  }
  if (counts.zero_weight > 0) why += fmt::format(" ({} of weight 0)", counts.zero_weight);
  throw InputError(source + ": expected at least one example, got none" + why);
}

/// Reads and counts the next line; false at the end. `keep` is called with its offset where it is
/// trained on.
bool take_line(LineFile& file, const SftDataOptions& options, const ExampleEncoder& encoder,
               SftData& data, const std::function<void(uint64_t)>& keep) {
  TextLine line;
  if (!file.next(line)) return false;
  const std::string where = file.where(line);
  const ExampleLine example = read_line(line.text, where, options.train_turns, data.counts.further);
  data.through_template |= example.is_conversation();
  const auto sequences = encode_line(example, where, encoder, options.max_tokens);
  if (count_example(sequences, where, options, data.counts)) keep(line.offset);
  return true;
}

class LineExamples : public ExampleSource {
 public:
  LineExamples(const SftDataOptions& options, const ExampleEncoder& encoder,
               const std::filesystem::path& spool_dir, SftData& data)
      : train_turns_(options.train_turns),
        max_tokens_(options.max_tokens),
        encoder_(encoder),
        file_(options.jsonl, spool_dir, kMaxLineBytes) {
    std::unique_ptr<Progress> progress;
    if (file_.size() > kShowProgressAbove) {
      progress = std::make_unique<Progress>("reading examples",
                                            static_cast<int64_t>(file_.size() / kMiB), "MiB");
    }
    const auto keep = [&](uint64_t offset) { offsets_.push_back(offset); };
    for (uint64_t shown = 0; take_line(file_, options, encoder, data, keep);) {
      const uint64_t done = file_.position() / kMiB;
      if (done == shown) continue;
      throw_if_stopped();
      if (progress) progress->advance(static_cast<int64_t>(done - shown));
      shown = done;
    }
  }

  int64_t size() const override { return static_cast<int64_t>(offsets_.size()); }

  std::vector<TrainSequence> encode(int64_t i) const override {
    const std::string& where = file_.name();
    FieldCounts counted_before;
    return encode_line(read_line(file_.read(offset(i)), where, train_turns_, counted_before), where,
                       encoder_, max_tokens_);
  }

  std::string where(int64_t i) const override { return file_.where(offset(i)); }

 private:
  uint64_t offset(int64_t i) const { return offsets_.at(static_cast<size_t>(i)); }

  const TrainTurns train_turns_;
  const int64_t max_tokens_;
  const ExampleEncoder& encoder_;
  LineFile file_;
  std::deque<uint64_t> offsets_;  ///< grows without a second copy of itself
};

class HeldExamples : public ExampleSource {
 public:
  HeldExamples(std::vector<TrainSequence> sequences, std::string store)
      : sequences_(std::move(sequences)), store_(std::move(store)) {}
  int64_t size() const override { return static_cast<int64_t>(sequences_.size()); }
  std::vector<TrainSequence> encode(int64_t i) const override {
    return {sequences_.at(static_cast<size_t>(i))};
  }
  std::string where(int64_t i) const override { return fmt::format("{}: example {}", store_, i); }

 private:
  std::vector<TrainSequence> sequences_;
  std::string store_;
};

}  // namespace

void SftDataOptions::validate() const {
  if (!store.empty() && !jsonl.empty()) {
    throw InputError("expected one of \"store\" and \"jsonl\", got both");
  }
  require_room("max_tokens", max_tokens, kTokenBytes);
}

void SftDataOptions::require_source() const {
  if (store.empty() && jsonl.empty()) {
    throw InputError("data: expected one of \"store\" and \"jsonl\", got neither");
  }
  if (!store.empty() && tasks.empty()) {
    throw InputError("data.tasks: expected the task files of the store, got none");
  }
}

Json SftDataCounts::to_json() const {
  return {{"examples", examples}, {"sequences", sequences},
          {"tokens", tokens},     {"trained_tokens", trained_tokens},
          {"too_long", too_long}, {"zero_weight", zero_weight},
          {"divided", divided}};
}

SftData open_jsonl_examples(const SftDataOptions& options, const ExampleEncoder& encoder,
                            const std::filesystem::path& spool_dir) {
  SftData data;
  data.examples = std::make_unique<LineExamples>(options, encoder, spool_dir, data);
  check_not_empty(data.counts, options, options.jsonl);
  return data;
}

Json plan_jsonl_examples(const SftDataOptions& options, const ExampleEncoder& encoder,
                         int64_t max_lines) {
  LineFile file(options.jsonl, std::filesystem::temp_directory_path(), kMaxLineBytes);
  SftData data;
  bool more = true;
  for (int64_t i = 0; i < max_lines && more; ++i) {
    more = take_line(file, options, encoder, data, [](uint64_t) {});
  }
  const bool estimated = more && file.position() < file.size();
  if (!estimated) check_not_empty(data.counts, options, options.jsonl);
  Json shown = data.counts.to_json();
  const double factor = static_cast<double>(file.size()) /
                        static_cast<double>(std::max<uint64_t>(file.position(), 1));
  for (auto& [key, value] : shown.items()) {
    if (estimated) value = std::llround(value.get<double>() * factor);
  }
  shown["first_too_long"] = data.counts.first_too_long;
  shown["further_fields"] = data.counts.further;
  shown["estimated"] = estimated;
  return shown;
}

std::vector<Trajectory> stored_examples(const SftDataOptions& options) {
  TrajectoryFilter filter;
  filter.origin = options.origin;
  filter.only_valid = true;
  filter.min_reward = options.min_reward;
  filter.max_per_task = options.max_per_task;
  return TrajectoryStore(options.store, StoreAccess::kRead).select(filter);
}

SftData load_store_examples(const SftDataOptions& options, const ExampleEncoder& encoder,
                            const MetaAgent& meta_agent) {
  std::map<std::string, Task> tasks;
  for (const auto& file : options.tasks) {
    for (auto& task : load_tasks(file)) tasks.emplace(task.id, task);
  }
  SftData data;
  data.through_template = true;
  std::set<std::string> teachers;
  std::vector<TrainSequence> sequences;
  for (const Trajectory& t : stored_examples(options)) {
    teachers.insert(t.origin);
    const auto task = tasks.find(t.task_id);
    if (task == tasks.end()) {
      throw InputError(options.store + ": task \"" + t.task_id + "\" is in none of the task files");
    }
    const std::vector<TrainSequence> sequence = {
        encoder.encode(meta_agent.prompt(task->second),
                       AssistantTurn{trimmed(t.reasoning), meta_agent.render_code(t.code)})};
    const std::string where = options.store + ": a workflow for task \"" + t.task_id + "\"";
    if (count_example(sequence, where, options, data.counts)) sequences.push_back(sequence[0]);
  }
  check_not_empty(data.counts, options, options.store);
  data.examples = std::make_unique<HeldExamples>(std::move(sequences), options.store);
  data.teachers.assign(teachers.begin(), teachers.end());
  return data;
}

void log_counts(const SftDataCounts& counts, const SftDataOptions& options) {
  const int64_t all = counts.examples + counts.too_long + counts.zero_weight;
  if (counts.too_long > 0) {
    log::warn(
        "{} of {} examples are longer than {} tokens (data.max_tokens, or the model's "
        "context) and left out: {}",
        counts.too_long, all, options.max_tokens, named_too_long(counts));
  }
  if (counts.zero_weight > 0) {
    log::warn("{} of {} examples have the weight 0 and are left out", counts.zero_weight, all);
  }
  if (counts.divided > 0) {
    log::info(
        "{} conversations are divided, {} sequences in all: the chat template writes a "
        "trained turn otherwise once another follows",
        counts.divided, counts.sequences);
  }
  if (!counts.further.empty()) {
    log::info("data: further fields, not read: {}", list_fields(counts.further));
  }
}

}  // namespace weft
