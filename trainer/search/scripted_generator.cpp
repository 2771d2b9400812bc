#include "base/error.h"
#include "base/rng.h"
#include "trainer/search/generator.h"
#include "workflow/steps.h"

namespace weft {

namespace {

Candidate candidate_of(const Draft& draft) {
  Candidate candidate;
  candidate.kind = draft.kind;
  candidate.reasoning = draft.reasoning;
  candidate.code = draft.code;
  return candidate;
}

}  // namespace

std::vector<NextStep> ScriptedGenerator::extend(const Task& task,
                                                const std::vector<StepPrefix>& prefixes,
                                                uint64_t seed) {
  std::vector<NextStep> steps;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    Rng rng(seed, i);
    steps.push_back({teacher_.next_step(task, prefixes[i], rng), {}, 0});
  }
  return steps;
}

std::vector<Candidate> ScriptedGenerator::complete(const Task& task,
                                                   const std::vector<StepPrefix>& prefixes,
                                                   uint64_t seed) {
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    Rng rng(seed, i);
    candidates.push_back(candidate_of(teacher_.complete(task, prefixes[i], rng)));
  }
  return candidates;
}

Candidate ScriptedGenerator::finish(const Task& task, const StepPrefix& whole, uint64_t seed) {
  Rng rng(seed);
  return candidate_of(teacher_.finished(task, whole, rng));
}

std::vector<Candidate> ScriptedGenerator::draft(const Task& task, int64_t count, const std::string&,
                                                uint64_t seed) {
  std::vector<Candidate> candidates;
  for (int64_t i = 0; i < count; ++i) {
    Rng rng(seed, static_cast<uint64_t>(i));
    candidates.push_back(candidate_of(teacher_.draft(task, rng)));
  }
  return candidates;
}

Candidate ScriptedGenerator::refine(const Task& task, const Candidate& parent, const Feedback&,
                                    uint64_t seed) {
  Rng rng(seed);
  const Draft draft{parent.kind, parent.reasoning, parent.code, split_steps(parent.code)};
  return candidate_of(teacher_.refine(task, draft, rng));
}

std::vector<Candidate> ScriptedGenerator::correct(const Task&,
                                                  const std::vector<FailedCandidate>& failed,
                                                  uint64_t) {
  std::vector<Candidate> unchanged;
  for (const auto& correction : failed) unchanged.push_back(correction.candidate);
  return unchanged;
}

}  // namespace weft
