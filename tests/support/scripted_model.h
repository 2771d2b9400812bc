/// A TextModel for tests: answers come from a function of the prompt. Users link weft::text_model.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "model/text_model.h"

namespace weft::test {

/// One request as the answering function sees it.
struct ScriptedPrompt {
  std::string system;  ///< system messages, joined by newlines
  std::string user;    ///< the other messages, joined by newlines; or the prompt's text
  int choice = 0;      ///< index of the wanted completion, in [0, n)
  int call = 0;        ///< number of requests submitted before this one
  SamplingParams sampling;
  std::string adapter;
};

/// Answers every request on a thread of its own queue, in the order of submission; where deltas are
/// asked for, each completion comes as two of them first. Tokens are counted as bytes / 4, rounded
/// up; ids are the bytes, logprobs -1, or -2 of the distribution sampled from where the temperature
/// is not 1. Where an allowance lowers max_tokens, a text is cut to so many. Thread-safe.
class ScriptedModel : public TextModel {
 public:
  using Answer = std::function<std::string(const ScriptedPrompt&)>;
  /// Decides the status of a whole request; kOk goes on to the answer.
  using Status = std::function<ResponseStatus(const ScriptedPrompt&)>;

  explicit ScriptedModel(Answer answer, Status status = {})
      : answer_(std::move(answer)), status_(std::move(status)), thread_([this] { work(); }) {}

  /// The same text to everything.
  explicit ScriptedModel(std::string text)
      : ScriptedModel([text = std::move(text)](const ScriptedPrompt&) { return text; }) {}

  ~ScriptedModel() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  /// What each completion carries apart from its text. Before the first request only.
  void set_reasoning(std::string reasoning) { reasoning_ = std::move(reasoning); }

  std::string name() const override { return "scripted"; }

  void submit(TextRequest request, std::function<void(TextResponse)> done) override {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      queue_.emplace_back(std::move(request), std::move(done));
    }
    wake_.notify_one();
  }

  /// Everything submitted so far, in order.
  std::vector<TextRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  using Job = std::pair<TextRequest, std::function<void(TextResponse)>>;

  static ScriptedPrompt read(const TextRequest& request) {
    ScriptedPrompt prompt;
    prompt.sampling = request.sampling;
    prompt.adapter = request.adapter;
    if (const auto* text = std::get_if<std::string>(&request.prompt)) prompt.user = *text;
    if (const auto* ids = std::get_if<std::vector<int32_t>>(&request.prompt)) {
      for (int32_t id : *ids) prompt.user += static_cast<char>(id);
    }
    if (const auto* messages = std::get_if<std::vector<ChatMessage>>(&request.prompt)) {
      for (const auto& message : *messages) {
        std::string& text = message.role == "system" ? prompt.system : prompt.user;
        if (!text.empty()) text += '\n';
        text += message.content;
      }
    }
    return prompt;
  }

  TextResponse respond(TextRequest request, int call) const {
    TextResponse response;
    ScriptedPrompt prompt = read(request);
    prompt.call = call;
    if (request.cancelled && request.cancelled->load()) {
      response.status = ResponseStatus::kCancelled;
      response.error = "cancelled";
      return response;
    }
    if (status_) response.status = status_(prompt);
    if (response.status != ResponseStatus::kOk) {
      response.error = "scripted failure";
      return response;
    }
    const std::string text = prompt.system + prompt.user;
    response.prompt_ids.assign(text.begin(), text.end());
    response.usage.prompt_tokens = static_cast<int64_t>(text.size() + 3) / 4;
    try {
      response.lowered = fit_to_allowance(request, response.usage.prompt_tokens);
    } catch (const BudgetError& error) {
      return TextResponse::unanswered(ResponseStatus::kOutOfBudget, error.what());
    }
    for (int i = 0; i < request.n; ++i) {
      prompt.choice = i;
      Completion completion;
      completion.text = answer_(prompt);
      if (response.lowered)
        completion.text.resize(
            std::min<size_t>(completion.text.size(), 4 * request.sampling.max_tokens));
      completion.reasoning = reasoning_;
      completion.ids.assign(completion.text.begin(), completion.text.end());
      completion.logprobs.assign(completion.ids.size(), -1.0f);
      if (request.sampling.temperature != 1) {
        completion.sampling_logprobs.assign(completion.ids.size(), -2.0f);
      }
      if (request.on_delta) stream(request, completion, i);
      completion.finish = FinishReason::kStop;
      response.usage.completion_tokens += static_cast<int64_t>(completion.text.size() + 3) / 4;
      response.choices.push_back(std::move(completion));
    }
    return response;
  }

  static void stream(const TextRequest& request, const Completion& completion, int choice) {
    const size_t half = completion.ids.size() / 2;
    for (const auto& [begin, end] : {std::pair(size_t{0}, half), {half, completion.ids.size()}}) {
      request.on_delta({choice,
                        completion.text.substr(begin, end - begin),
                        {completion.ids.begin() + begin, completion.ids.begin() + end},
                        {completion.logprobs.begin() + begin, completion.logprobs.begin() + end}});
    }
  }

  void work() {
    for (int call = 0;; ++call) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Job job = std::move(queue_.front());
      queue_.erase(queue_.begin());
      lock.unlock();
      job.second(respond(job.first, call));
    }
  }

  Answer answer_;
  Status status_;
  std::string reasoning_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::vector<Job> queue_;
  std::vector<TextRequest> requests_;
  std::thread thread_;
};

}  // namespace weft::test
