#include "trainer/search/archive_search.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "base/machine.h"
#include "workflow/baselines.h"

namespace weft {

namespace {

constexpr int kEditTries = 4;
constexpr size_t kMaxNoted = 400;  ///< bytes of what a run showed, where many are listed

Candidate baseline(const char* kind, const char* reasoning, std::string code) {
  Candidate candidate;
  candidate.kind = kind;
  candidate.reasoning = reasoning;
  candidate.code = std::move(code);
  return candidate;
}

Candidate single_call(const Task& task) {
  return baseline("io", "A single call answers the query directly.",
                  io_workflow(task.kind, code_form(task)));
}

std::vector<Candidate> first_archive(const Task& task) {
  return {single_call(task),
          baseline("cot", "One call that reasons step by step before it answers.",
                   cot_workflow(task.kind, code_form(task))),
          baseline("cot_sc", "Several reasoned answers and a majority over them.",
                   cot_sc_workflow(task.kind, 3, code_form(task)))};
}

}  // namespace

ArchiveEntry ArchiveEntry::of(const Sampled& sampled, int64_t parent) {
  return {sampled.candidate,
          sampled.row,
          parent,
          sampled.reward.value_or(0),
          sampled.evaluation.reward_deviation,
          sampled.evaluation.feedback};
}

Json ArchiveEntry::to_json() const {
  return {{"row", row},           {"parent", parent},       {"kind", candidate.kind},
          {"reward", reward},     {"deviation", deviation}, {"reasoning", candidate.reasoning},
          {"feedback", feedback}, {"code", candidate.code}};
}

ArchiveEntry ArchiveEntry::from_json(const Json& json) {
  const std::string where = "the saved state of the search";
  ArchiveEntry entry;
  entry.row = get_field<int64_t>(json, "row", where);
  entry.parent = get_field<int64_t>(json, "parent", where);
  entry.reward = get_field<double>(json, "reward", where);
  entry.deviation = get_field<double>(json, "deviation", where);
  entry.feedback = get_field<std::string>(json, "feedback", where);
  entry.candidate.kind = get_field<std::string>(json, "kind", where);
  entry.candidate.reasoning = get_field<std::string>(json, "reasoning", where);
  entry.candidate.code = get_field<std::string>(json, "code", where);
  return entry;
}

ArchiveSearch::ArchiveSearch(std::string method, Evaluator& evaluator)
    : evaluator_(evaluator), method_(std::move(method)) {}

Json ArchiveSearch::state() const {
  Json entries = Json::array();
  for (const auto& entry : archive_) entries.push_back(entry.to_json());
  return {{"method", method_}, {"round", round_}, {"archive", entries}};
}

void ArchiveSearch::restore(const Json& state) {
  const std::string where = "the saved state of the search";
  if (get_field<std::string>(state, "method", where) != method_) {
    throw InputError(where + ": expected that of " + method_);
  }
  round_ = get_field<int64_t>(state, "round", where);
  archive_.clear();
  for (const auto& entry : get_field<Json>(state, "archive", where)) {
    archive_.push_back(ArchiveEntry::from_json(entry));
  }
}

uint64_t ArchiveSearch::seed_of(const char* what, int64_t index) const {
  return evaluator_.target().seed_of(what, round_, index);
}

RoundReport ArchiveSearch::report(const std::vector<Sampled>& sampled) const {
  RoundReport report;
  report.round = round_;
  for (const auto& s : sampled) {
    if (s.skipped) continue;
    if (!s.reward) {
      ++report.num_dropped;
      continue;
    }
    report.reward_best =
        report.num_scored == 0 ? *s.reward : std::max(report.reward_best, *s.reward);
    report.reward_mean += *s.reward;
    ++report.num_scored;
  }
  if (report.num_scored > 0) report.reward_mean /= static_cast<double>(report.num_scored);
  return report;
}

AflowSearch::AflowSearch(const AflowOptions& options, Evaluator& evaluator)
    : ArchiveSearch("aflow", evaluator), options_(options) {
  options_.validate();
}

bool AflowSearch::finished() const {
  if (round_ > options_.rounds || evaluator_.exhausted()) return true;
  if (!options_.check_convergence) return false;
  std::vector<RoundScores> rounds;
  for (const auto& entry : archive_) rounds.push_back({entry.reward, entry.deviation});
  return aflow_converged(rounds, options_);
}

size_t AflowSearch::draw_parent() const {
  std::vector<double> means, scores;
  for (const auto& entry : archive_) means.push_back(entry.reward);
  const auto candidates = aflow_candidates(means, options_.sample);
  for (const size_t i : candidates) scores.push_back(means[i]);
  Rng rng(seed_of("parent"));
  return candidates[rng.categorical(aflow_selection_probabilities(scores, options_))];
}

std::string AflowSearch::experience(size_t parent) const {
  std::string good, bad;
  for (const auto& entry : archive_) {
    if (entry.parent != static_cast<int64_t>(parent)) continue;
    std::string& list = entry.reward > archive_[parent].reward ? good : bad;
    list += fmt::format("- {} (reward {:.4f}) {}\n", entry.candidate.reasoning, entry.reward,
                        entry.feedback.substr(0, kMaxNoted));
  }
  std::string text;
  if (!good.empty()) text += "Edits of it that raised the reward:\n" + good;
  if (!bad.empty()) text += "Edits of it that did not; do not repeat them:\n" + bad;
  return text;
}

Candidate AflowSearch::edit(size_t parent) {
  const ArchiveEntry& from = archive_[parent];
  const auto known = [&](const std::string& code) {
    return std::any_of(archive_.begin(), archive_.end(), [&](const ArchiveEntry& entry) {
      return entry.parent == static_cast<int64_t>(parent) && entry.candidate.code == code;
    });
  };
  Candidate edited, paid;
  for (int attempt = 0; attempt < kEditTries; ++attempt) {
    if (attempt > 0 && evaluator_.means_spent(spent_by_generator(paid.usage, paid.calls))) break;
    edited = evaluator_.generator().refine(evaluator_.target().task, from.candidate,
                                           {from.reward, from.feedback, experience(parent)},
                                           seed_of("edit", attempt));
    paid.charge(edited.usage, edited.calls);
    if (!known(edited.code)) break;
  }
  edited.usage = paid.usage;
  edited.calls = paid.calls;
  edited.parent = from.row;
  edited.edited_from = from.candidate.code;
  return edited;
}

RoundReport AflowSearch::run_round() {
  ++round_;
  const bool first = archive_.empty();
  if (!first && evaluator_.reserve(1, round_) == 0) return report({});
  const size_t parent = first ? 0 : draw_parent();
  Candidate candidate = first ? single_call(evaluator_.target().task) : edit(parent);
  const auto sampled = evaluator_.evaluate({std::move(candidate)}, round_);
  if (sampled.front().reward) {
    archive_.push_back(
        ArchiveEntry::of(sampled.front(), first ? -1 : static_cast<int64_t>(parent)));
  }
  return report(sampled);
}

void AdasOptions::validate() const {
  require_at_least("generations", generations, 0);
  require_at_least("max_archive_bytes", max_archive_bytes, 0);
  require_room("max_archive_bytes", max_archive_bytes, 1);
}

AdasSearch::AdasSearch(const AdasOptions& options, Evaluator& evaluator)
    : ArchiveSearch("adas", evaluator), options_(options) {
  options_.validate();
}

bool AdasSearch::finished() const {
  return round_ > options_.generations || evaluator_.exhausted();
}

std::string AdasSearch::archive_text() const {
  std::vector<double> rewards;
  for (const auto& entry : archive_) rewards.push_back(entry.reward);
  std::string text;
  for (const size_t i : top_indices(rewards, rewards.size())) {
    const auto& entry = archive_[i];
    std::string shown = fmt::format("Reward {:.4f}. {}\n```python\n{}```\n", entry.reward,
                                    entry.candidate.reasoning, entry.candidate.code);
    if (!entry.feedback.empty()) {
      shown += "What its run showed: " + entry.feedback.substr(0, kMaxNoted) + "\n";
    }
    shown += "\n";
    if (text.size() + shown.size() > static_cast<size_t>(options_.max_archive_bytes)) break;
    text += shown;
  }
  if (text.empty()) return text;
  return "Workflows found so far, the best first. Write an interestingly different one with a "
         "higher reward.\n\n" +
         text;
}

RoundReport AdasSearch::run_round() {
  ++round_;
  if (round_ > 1 && evaluator_.reserve(1, round_) == 0) return report({});
  const Task& task = evaluator_.target().task;
  auto candidates = round_ == 1
                        ? first_archive(task)
                        : evaluator_.generator().draft(task, 1, archive_text(), seed_of("draft"));
  const auto sampled = evaluator_.evaluate(std::move(candidates), round_);
  for (const auto& s : sampled) {
    if (s.reward) archive_.push_back(ArchiveEntry::of(s, -1));
  }
  return report(sampled);
}

void RandomOptions::validate() const {
  require_at_least("workflows", workflows, 1);
  require_at_least("batch", batch, 1);
  require_room("batch", batch, kRecordBytes);
}

RandomSearch::RandomSearch(const RandomOptions& options, Evaluator& evaluator)
    : ArchiveSearch("random", evaluator), options_(options) {
  options_.validate();
}

bool RandomSearch::finished() const {
  return round_ * options_.batch >= options_.workflows || evaluator_.exhausted();
}

RoundReport RandomSearch::run_round() {
  const int64_t left = options_.workflows - round_ * options_.batch;
  ++round_;
  const int64_t granted = evaluator_.reserve(std::min(left, options_.batch), round_);
  if (granted == 0) return report({});
  return report(evaluator_.evaluate(
      evaluator_.generator().draft(evaluator_.target().task, granted, "", seed_of("draft")),
      round_));
}

}  // namespace weft
