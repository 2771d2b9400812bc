/// Who writes workflows in a search: the scripted teacher or a language model, behind one
/// interface.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "data/task.h"
#include "sandbox/workflow/worker.h"
#include "trainer/search/candidate.h"
#include "workflow/completion_form.h"
#include "workflow/scripted_teacher.h"

namespace weft {

/// Task::entry_point of a query that stands for many: each has its own, and a workflow finds it in
/// the argument of this name.
inline constexpr const char* kEntryArgument = "entry_point";

/// One further step of a prefix.
struct NextStep {
  std::string text;  ///< empty: the prefix is whole, or the reply had not the form asked for
  TextUsage usage;
  int calls = 0;
};

/// What is known about a workflow that is to be edited.
struct Feedback {
  double reward = 0;
  std::string execution;  ///< what its runs showed: failed public tests, errors; may be empty
  std::string notes;      ///< experience with earlier edits or rounds; may be empty
};

/// A workflow that could not be read, did not pass the check or raised.
struct FailedCandidate {
  Candidate candidate;
  std::string error;
};

/// The prior p of the search. Item i of a batch draws from a stream of (seed, i) alone. Methods may
/// be called from any thread.
class StepGenerator {
 public:
  virtual ~StepGenerator() = default;

  /// Stored with every workflow: "scripted", "teacher:NAME", "model:NAME".
  virtual std::string origin() const = 0;

  /// The same writer, whose requests are set aside in `budget`: one that it has no room for comes
  /// back as out of budget. Null where it asks no model, or `budget` is null.
  virtual std::unique_ptr<StepGenerator> under(const std::shared_ptr<CallBudget>& /*budget*/) {
    return nullptr;
  }

  /// False when asking for a correction makes no sense.
  virtual bool can_correct() const = 0;

  /// Functions that workflows have beside the helpers, as MetaAgent's `tools`; to be told at once.
  virtual void offer_tools(const std::string& /*tools*/) {}

  /// False when it makes no use of what runs showed, so that none of it need be gathered.
  virtual bool reads_feedback() const { return can_correct(); }

  /// s_t given s_{1:t-1}, for each prefix. None of them is whole (SearchScorer::is_whole).
  virtual std::vector<NextStep> extend(const Task& task, const std::vector<StepPrefix>& prefixes,
                                       uint64_t seed) = 0;

  /// Each prefix completed to a whole workflow whose code opens with the prefix. None is whole.
  virtual std::vector<Candidate> complete(const Task& task, const std::vector<StepPrefix>& prefixes,
                                          uint64_t seed) = 0;

  /// The workflow that a whole prefix is.
  virtual Candidate finish(const Task& task, const StepPrefix& whole, uint64_t seed);

  /// `count` whole workflows, independent of each other. `notes` go into the prompt.
  virtual std::vector<Candidate> draft(const Task& task, int64_t count, const std::string& notes,
                                       uint64_t seed) = 0;

  /// Exactly one consequential edit of `parent`.
  virtual Candidate refine(const Task& task, const Candidate& parent, const Feedback& feedback,
                           uint64_t seed) = 0;

  /// Each of `failed` mended at its cause, with its error at hand and try/except banned.
  virtual std::vector<Candidate> correct(const Task& task,
                                         const std::vector<FailedCandidate>& failed,
                                         uint64_t seed) = 0;
};

/// The grammar of workflow/scripted_teacher.h. It reads no feedback and no notes.
class ScriptedGenerator : public StepGenerator {
 public:
  std::string origin() const override { return ScriptedTeacher::kOrigin; }
  bool can_correct() const override { return false; }
  std::vector<NextStep> extend(const Task& task, const std::vector<StepPrefix>& prefixes,
                               uint64_t seed) override;
  std::vector<Candidate> complete(const Task& task, const std::vector<StepPrefix>& prefixes,
                                  uint64_t seed) override;
  Candidate finish(const Task& task, const StepPrefix& whole, uint64_t seed) override;
  std::vector<Candidate> draft(const Task& task, int64_t count, const std::string& notes,
                               uint64_t seed) override;
  Candidate refine(const Task& task, const Candidate& parent, const Feedback& feedback,
                   uint64_t seed) override;
  std::vector<Candidate> correct(const Task& task, const std::vector<FailedCandidate>& failed,
                                 uint64_t seed) override;

 private:
  ScriptedTeacher teacher_;
};

struct ModelGeneratorOptions {
  double temperature = 0.8;  ///< > 0: with 0 all extensions of a prefix would be equal
  double top_p = 0.95;
  int max_tokens = 2048;
  std::string adapter;

  template <class V>
  void visit(V& v) {
    v("temperature", temperature, "of the generator; above 0");
    v("top_p", top_p, "nucleus of the generator's sampling");
    v("max_tokens", max_tokens, "most tokens of one reply of the generator");
    v("adapter", adapter, "at a server: model name to ask for instead, as of a LoRA adapter there");
  }
  void validate() const;  ///< throws InputError
};

/// A language model that is asked for the next `# Step n:` block (with a stop at the one after it),
/// for the rest, for one edit or for a correction. Replies are read strictly by read_reply; nothing
/// is repaired. Prompts are ours: arXiv:2601.22305 prints none. Borrows the model.
class ModelGenerator : public StepGenerator {
 public:
  /// `origin` is "teacher:NAME" or "model:NAME".
  ModelGenerator(TextModel& model, std::string origin, ModelGeneratorOptions options = {});
  ModelGenerator(std::unique_ptr<TextModel> model, std::string origin,
                 ModelGeneratorOptions options);
  std::string origin() const override { return origin_; }
  std::unique_ptr<StepGenerator> under(const std::shared_ptr<CallBudget>& budget) override;
  bool can_correct() const override { return true; }
  void offer_tools(const std::string& tools) override { tools_ = tools; }
  std::vector<NextStep> extend(const Task& task, const std::vector<StepPrefix>& prefixes,
                               uint64_t seed) override;
  std::vector<Candidate> complete(const Task& task, const std::vector<StepPrefix>& prefixes,
                                  uint64_t seed) override;
  std::vector<Candidate> draft(const Task& task, int64_t count, const std::string& notes,
                               uint64_t seed) override;
  Candidate refine(const Task& task, const Candidate& parent, const Feedback& feedback,
                   uint64_t seed) override;
  std::vector<Candidate> correct(const Task& task, const std::vector<FailedCandidate>& failed,
                                 uint64_t seed) override;

 private:
  TextRequest request(const Task& task, const std::string& user, uint64_t seed) const;

  std::unique_ptr<TextModel> owned_;  ///< model_, where it is this generator's alone
  TextModel& model_;
  std::string origin_;
  ModelGeneratorOptions options_;
  std::string tools_;
};

/// Reads a reply strictly; the reasoning may be missing, the code ends with one newline. `stopped`
/// says that a stop string may have cut the reply before its closing fence.
CompletionParts read_reply(const std::string& text, bool stopped);

}  // namespace weft
