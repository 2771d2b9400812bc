/// Supervised examples from a trajectory store or from JSON lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "data/trajectory_store.h"
#include "trainer/learn/sft/example_encoder.h"
#include "trainer/learn/sft/example_line.h"
#include "trainer/learn/update/packing.h"
#include "workflow/meta_agent.h"

namespace weft {

struct SftDataOptions {
  std::string store;               ///< trajectory store; its valid workflows are the targets
  std::vector<std::string> tasks;  ///< task files that the store's task ids refer to
  std::string origin;              ///< only trajectories of this origin; empty: all
  double min_reward = 0;           ///< only trajectories with at least this reward
  int max_per_task = 0;            ///< the best ones of each task; 0: no limit
  std::string jsonl;               ///< instead of a store: JSON lines in a form of example_line.h
  TrainTurns train_turns = TrainTurns::kLast;  ///< where a message does not say so itself
  int64_t max_tokens = 4096;                   ///< longer examples are left out and counted

  template <class V>
  void visit(V& v) {
    v("store", store, "trajectory store whose valid workflows are the targets");
    v("tasks", tasks, "task files that the store's task ids refer to");
    v("origin", origin, "only trajectories of this origin; empty: all");
    v("min_reward", min_reward, "least reward of a trajectory");
    v("max_per_task", max_per_task, "best trajectories of each task, 0: no limit");
    v("jsonl", jsonl,
      "JSON lines with \"messages\", \"prompt\" and \"completion\", \"conversations\" or \"text\"");
    v("train_turns", train_turns,
      "turns of the assistant that are learnt, last or all; a message's \"train\" goes before");
    v("max_tokens", max_tokens, "longer examples are left out");
  }
  /// Throws InputError when both sources are named.
  void validate() const;
  /// Throws InputError when no source is named, or a store without its tasks: what a run needs and
  /// a plan does not.
  void require_source() const;
};

/// What was found in the data, for the log and for --dry-run.
struct SftDataCounts {
  int64_t examples = 0;                     ///< that are trained on
  int64_t sequences = 0;                    ///< of them: more where conversations are divided
  int64_t tokens = 0;                       ///< of them, before prompts are shared
  int64_t trained_tokens = 0;               ///< of them
  int64_t too_long = 0;                     ///< left out
  int64_t zero_weight = 0;                  ///< left out: their weight is 0
  int64_t divided = 0;                      ///< conversations that gave more than one sequence
  std::vector<std::string> first_too_long;  ///< "FILE:LINE (at least N tokens)", at most five
  FieldCounts further;                      ///< that no one reads

  /// The numbers, under the names above.
  Json to_json() const;
};

/// Examples by their number, encoded when they are asked for. One thread at a time.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;
  virtual int64_t size() const = 0;
  /// The sequences of example i < size(), at least one. Throws InputError when the file behind it
  /// has changed.
  virtual std::vector<TrainSequence> encode(int64_t i) const = 0;
  /// Where example i stands: "FILE:LINE".
  virtual std::string where(int64_t i) const = 0;
};

struct SftData {
  std::unique_ptr<ExampleSource> examples;
  SftDataCounts counts;
  bool through_template = false;      ///< some example's ids are the chat template's work
  std::vector<std::string> teachers;  ///< origins of a store's examples, each once, sorted
};

/// Reads JSON lines once, checks and counts them, and keeps eight bytes a line: where it stands. In
/// the order of the file; the encoder is borrowed. Blank lines are none; a line that is too long or
/// weighs nothing is counted. A file that cannot be read twice (gzipped, a pipe) is unpacked to an
/// unnamed file of `spool_dir`. Throws InputError naming file and line of the first that is no
/// example, and the file where none is left.
SftData open_jsonl_examples(const SftDataOptions& options, const ExampleEncoder& encoder,
                            const std::filesystem::path& spool_dir);

/// Counts of the first lines of a file, as --dry-run shows them: {"examples", "sequences",
/// "tokens", "trained_tokens", "too_long", "zero_weight", "divided", "first_too_long",
/// "further_fields", "estimated"}. Beyond `max_lines` the rest is estimated by its bytes. Throws as
/// open_jsonl_examples does.
Json plan_jsonl_examples(const SftDataOptions& options, const ExampleEncoder& encoder,
                         int64_t max_lines);

/// The store's trajectories that pass the options, in an order of content.
std::vector<Trajectory> stored_examples(const SftDataOptions& options);

/// Examples of a store: prompt and target as the meta-agent renders them, in the order of
/// stored_examples; held in memory. Throws InputError when a task id is in none of the task files
/// or nothing passes the filter.
SftData load_store_examples(const SftDataOptions& options, const ExampleEncoder& encoder,
                            const MetaAgent& meta_agent);

/// Says in one line each what is left out, divided or not read.
void log_counts(const SftDataCounts& counts, const SftDataOptions& options);

}  // namespace weft
