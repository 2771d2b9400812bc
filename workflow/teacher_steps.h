/// The grammar behind ScriptedTeacher: what a step can be, how it is written, and which sequences
/// of steps are kinds of workflow.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "data/task.h"
#include "workflow/teacher_words.h"

namespace weft {

/// Each type has one title, so that a step's text tells its type ("# Step 2: vote"). Steps speak
/// through the variables problem, note, codes and code (answers and answer where no code is asked).
enum class StepType {
  kPlan,        ///< note = a plan
  kExamples,    ///< note = examples worked by hand
  kEdges,       ///< note = edge cases
  kParts,       ///< note = two smaller parts
  kOne,         ///< code = one draft, told the note if there is one
  kMany,        ///< codes = several drafts, likewise
  kMore,        ///< codes += drafts at another temperature by another role
  kByTests,     ///< code = the first of codes that passes the public tests, else the first
  kVote,        ///< code = the most frequent of codes
  kJudge,       ///< code = the one that a judge picks
  kRepair,      ///< code = a repair of it if a public test fails
  kRepairLoop,  ///< the same, up to two or three times
  kReview,      ///< note = a bug of code
  kRevise,      ///< code = rewritten with the note
  kRising,      ///< code = the first passing of single drafts at rising temperatures
  kDebate,      ///< codes += drafts by someone who has seen codes
  kCodeParts,   ///< codes = one piece for each part of the note
  kCombine,     ///< code = one program of the pieces
  kAnswer,      ///< nothing but the return
};

struct WorkflowKind {
  const char* name;
  std::vector<StepType> types;
};

/// The kinds offered for tasks of this kind.
const std::vector<WorkflowKind>& workflow_kinds(TaskKind kind);

/// The name of the kind with exactly these steps, else "composed".
std::string kind_name(TaskKind kind, const std::vector<StepType>& types);

/// Type of a step by the title of its "# Step n:" comment; none if it is no teacher's title.
std::optional<StepType> type_of_step(const std::string& step);

/// The text before step 1: class, __init__, the head of __call__.
std::string workflow_header(TaskKind kind);

/// "        return code, ...\n".
std::string return_line(TaskKind kind);

/// Writes steps; draws parameters, roles and instructions. What it writes is the same for every
/// task of a kind that names an entry point, and for every one that names none: a step speaks of
/// its query through the arguments `problem` and `entry_point` alone, so that the workflow may be
/// given another query. Only the reasoning refers to the query's words.
class StepWriter {
 public:
  StepWriter(const Task& task, Rng& rng) : task_(task), words_(words_of(task)), rng_(rng) {}

  /// A step's text, the return line not included. `has_note`: a note exists for drafting steps.
  std::string write(StepType type, int number, bool has_note);

  /// One to three sentences that say what is asked and what these steps do.
  std::string reasoning(const std::vector<StepType>& types);

  std::vector<std::string> roles(StepType type) const;
  /// Sources of Python strings, with their quotes, some of them f-strings of `entry_point`.
  std::vector<std::string> instructions(StepType type) const;

 private:
  std::string about_entry(const std::string& before, const std::string& after) const;
  std::string call(const std::string& messages, const std::string& temperature, int n,
                   StepType type);
  std::string call(const std::string& messages, StepType type);
  std::string body(StepType type, bool has_note);
  std::string choosing_body(StepType type);
  std::string draft_messages(bool has_note) const;
  std::string temperature(StepType type);
  int count(StepType type);
  std::vector<std::string> answer_instructions(StepType type) const;
  template <class T>
  const T& pick(const std::vector<T>& items) {
    return items[rng_.below(items.size())];
  }

  const Task& task_;
  QueryWords words_;
  Rng& rng_;
};

/// Whether a type leaves its result in `note`.
bool writes_note(StepType type);

}  // namespace weft
