#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"
#include "base/machine.h"
#include "trainer/search/budgeted_model.h"
#include "trainer/search/collector.h"
#include "trainer/search/generator.h"
#include "workflow/meta_agent.h"
#include "workflow/steps.h"

namespace weft {

namespace {

constexpr const char* kWholeForm =
    "Reply with one to three sentences of reasoning, then the whole workflow in one ```python "
    "block, and nothing after it.";

std::string fenced(const std::string& code) { return "```python\n" + code + "```\n"; }

std::string with_notes(const std::string& notes) { return notes.empty() ? "" : notes + "\n\n"; }

std::string query_text(const Task& task) {
  const std::string query = "Task: " + task.prompt;
  if (task.entry_point.empty()) return query;
  if (task.entry_point == kEntryArgument) {
    return query + "\nThe answer must define the function that the argument entry_point names.";
  }
  return query + "\nThe answer must define `" + task.entry_point + "`.";
}

std::string extension_prompt(const StepPrefix& prefix) {
  const size_t next = prefix.size() + 1;
  if (prefix.empty()) {
    return "Begin a workflow. Reply with one ```python block that holds the imports, the class "
           "header with __init__, the line `async def __call__` and the block of `# Step 1:`. Stop "
           "before `# Step 2:`.";
  }
  return fmt::format(
      "The workflow so far:\n\n{}\nWrite its next block only, from the comment `# Step {}:` on, "
      "with the same indentation, in one ```python block. Stop before `# Step {}:`. The block that "
      "returns the answer and the cost is the last one.",
      fenced(join_steps(prefix)), next, next + 1);
}

std::string completion_prompt(const StepPrefix& prefix) {
  if (prefix.empty()) return std::string("Write a workflow for this task. ") + kWholeForm;
  return fmt::format(
      "The workflow so far:\n\n{}\nWrite the rest of it, from the comment `# Step {}:` to its end, "
      "with the same indentation. Reply with one to three sentences of reasoning about the whole "
      "workflow, then the rest in one ```python block, and nothing after it.",
      fenced(join_steps(prefix)), prefix.size() + 1);
}

std::string refinement_prompt(const Candidate& parent, const Feedback& feedback) {
  const std::string execution =
      feedback.execution.empty() ? "" : "What its run showed:\n" + feedback.execution + "\n\n";
  return fmt::format(
      "A workflow for this task, of reward {:.4f}:\n\n{}\n{}{}Make exactly ONE consequential edit "
      "that should raise the reward, and keep everything else, the form of the code and the `# "
      "Step n:` comments as they are. {}",
      feedback.reward, fenced(parent.code), execution, with_notes(feedback.notes), kWholeForm);
}

std::string correction_prompt(const Candidate& failed, const std::string& error) {
  const std::string code =
      failed.code.empty() ? "" : "This workflow failed:\n\n" + fenced(failed.code) + "\n";
  return code + "The error log:\n" + error +
         "\n\nFix the cause. Do not catch it: try/except blocks are not allowed anywhere. " +
         kWholeForm;
}

/// One, or none where the request was not sent.
int num_calls(const TextResponse& response) {
  return response.status == ResponseStatus::kOutOfBudget ? 0 : 1;
}

bool has_failed(const TextResponse& response, Candidate& candidate) {
  if (response.status == ResponseStatus::kOk && !response.choices.empty()) return false;
  candidate.status = Candidate::Status::kFailed;
  candidate.out_of_budget = response.status == ResponseStatus::kOutOfBudget;
  candidate.problem = response.error.empty() ? "the generator answered nothing" : response.error;
  return true;
}

/// Reads a reply as a workflow that opens with `prefix`; an empty prefix expects a whole one.
Candidate candidate_of(const TextResponse& response, const StepPrefix& prefix) {
  Candidate candidate;
  candidate.usage = response.usage;
  candidate.calls = num_calls(response);
  if (has_failed(response, candidate)) return candidate;
  const Completion& choice = response.choices.front();
  const CompletionParts reply = read_reply(choice.text_with_reasoning(), false);
  candidate.reasoning = reply.reasoning;
  candidate.problem = reply.problem;
  if (choice.finish == FinishReason::kLength) {
    if (candidate.problem.empty()) candidate.problem = "the reply is not whole";
    candidate.problem += " (cut at max_tokens)";
  }
  const auto numbers = step_numbers(reply.code);
  if (candidate.problem.empty() && !prefix.empty() &&
      (numbers.empty() || numbers.front() != static_cast<int>(prefix.size()) + 1)) {
    candidate.problem = fmt::format("the rest does not open with # Step {}:", prefix.size() + 1);
  }
  if (candidate.problem.empty()) {
    candidate.code = join_steps(prefix) + reply.code;
  } else {
    candidate.status = Candidate::Status::kMalformed;
  }
  return candidate;
}

NextStep step_of(const TextResponse& response, size_t number) {
  NextStep step;
  step.usage = response.usage;
  step.calls = num_calls(response);
  if (response.status != ResponseStatus::kOk || response.choices.empty()) return step;
  const Completion& choice = response.choices.front();
  const CompletionParts reply = read_reply(choice.text_with_reasoning(), true);
  const auto numbers = step_numbers(reply.code);
  const bool whole = choice.finish == FinishReason::kStop;
  if (whole && reply.problem.empty() && numbers == std::vector<int>{static_cast<int>(number)}) {
    step.text = reply.code;
  }
  return step;
}

}  // namespace

void ModelGeneratorOptions::validate() const {
  require_above("temperature", temperature, 0);
  require_above("top_p", top_p, 0);
  require_share("top_p", top_p);
  require_at_least("max_tokens", max_tokens, 1);
  require_room("max_tokens", max_tokens, kTokenBytes);
}

ModelGenerator::ModelGenerator(TextModel& model, std::string origin, ModelGeneratorOptions options)
    : model_(model), origin_(std::move(origin)), options_(std::move(options)) {
  options_.validate();
}

ModelGenerator::ModelGenerator(std::unique_ptr<TextModel> model, std::string origin,
                               ModelGeneratorOptions options)
    : owned_(std::move(model)),
      model_(*owned_),
      origin_(std::move(origin)),
      options_(std::move(options)) {}

std::unique_ptr<StepGenerator> ModelGenerator::under(const std::shared_ptr<CallBudget>& budget) {
  if (!budget) return nullptr;
  auto limited = std::make_unique<ModelGenerator>(std::make_unique<BudgetedModel>(model_, budget),
                                                  origin_, options_);
  limited->offer_tools(tools_);
  return limited;
}

TextRequest ModelGenerator::request(const Task& task, const std::string& user,
                                    uint64_t seed) const {
  TextRequest request;
  request.prompt = std::vector<ChatMessage>{{"system", contract_text(task.kind, tools_)},
                                            {"user", query_text(task) + "\n\n" + user}};
  request.sampling.temperature = options_.temperature;
  request.sampling.top_p = options_.top_p;
  request.sampling.max_tokens = options_.max_tokens;
  request.sampling.seed = seed;
  request.adapter = options_.adapter;
  return request;
}

Candidate StepGenerator::finish(const Task&, const StepPrefix& whole, uint64_t) {
  Candidate candidate;
  candidate.code = join_steps(whole);
  return candidate;
}

std::vector<NextStep> ModelGenerator::extend(const Task& task,
                                             const std::vector<StepPrefix>& prefixes,
                                             uint64_t seed) {
  std::vector<TextRequest> requests;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    requests.push_back(request(task, extension_prompt(prefixes[i]), hash_combine(seed, i)));
    requests.back().sampling.stop = {fmt::format("# Step {}:", prefixes[i].size() + 2)};
  }
  const auto responses = complete_all_or_stop(model_, std::move(requests));
  std::vector<NextStep> steps;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    steps.push_back(step_of(responses[i], prefixes[i].size() + 1));
  }
  return steps;
}

std::vector<Candidate> ModelGenerator::complete(const Task& task,
                                                const std::vector<StepPrefix>& prefixes,
                                                uint64_t seed) {
  std::vector<TextRequest> requests;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    requests.push_back(request(task, completion_prompt(prefixes[i]), hash_combine(seed, i)));
  }
  const auto responses = complete_all_or_stop(model_, std::move(requests));
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    candidates.push_back(candidate_of(responses[i], prefixes[i]));
  }
  return candidates;
}

std::vector<Candidate> ModelGenerator::draft(const Task& task, int64_t count,
                                             const std::string& notes, uint64_t seed) {
  std::vector<TextRequest> requests;
  for (int64_t i = 0; i < count; ++i) {
    requests.push_back(request(task, with_notes(notes) + completion_prompt({}),
                               hash_combine(seed, static_cast<uint64_t>(i))));
  }
  std::vector<Candidate> candidates;
  for (const auto& response : complete_all_or_stop(model_, std::move(requests))) {
    candidates.push_back(candidate_of(response, {}));
  }
  return candidates;
}

Candidate ModelGenerator::refine(const Task& task, const Candidate& parent,
                                 const Feedback& feedback, uint64_t seed) {
  const auto responses =
      complete_all_or_stop(model_, {request(task, refinement_prompt(parent, feedback), seed)});
  return candidate_of(responses.front(), {});
}

std::vector<Candidate> ModelGenerator::correct(const Task& task,
                                               const std::vector<FailedCandidate>& failed,
                                               uint64_t seed) {
  std::vector<TextRequest> requests;
  for (size_t i = 0; i < failed.size(); ++i) {
    requests.push_back(request(task, correction_prompt(failed[i].candidate, failed[i].error),
                               hash_combine(seed, i)));
  }
  std::vector<Candidate> candidates;
  for (const auto& response : complete_all_or_stop(model_, std::move(requests))) {
    candidates.push_back(candidate_of(response, {}));
  }
  return candidates;
}

CompletionParts read_reply(const std::string& text, bool stopped) {
  CompletionParts reply = split_completion(text, {.no_reasoning = true, .cut = stopped});
  if (!reply.problem.empty()) return reply;
  reply.code.erase(reply.code.find_last_not_of(" \t\r\n") + 1);
  reply.code += "\n";
  return reply;
}

}  // namespace weft
