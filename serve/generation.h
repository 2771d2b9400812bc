/// One chat or completion request on its way through the model: events of the model's thread become
/// what the handler's thread sends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "model/text_model.h"
#include "serve/request.h"
#include "serve/response.h"
#include "serve/server.h"

namespace weft {

/// Used by one thread after start().
class Generation : public std::enable_shared_from_this<Generation> {
 public:
  /// Encodes the prompts, checks lengths and submits one TextRequest per prompt.
  /// Throws ApiError: 404 unknown model, 400 prompt and max_tokens beyond the context.
  static std::shared_ptr<Generation> start(const ServedModel& served, GenerationCall call,
                                           int default_max_tokens, CancelFlag cancelled);

  /// Waits for the next event, of which one comes until it is finished, and takes it in.
  void step();

  bool begun() const { return first_token_s_ >= 0 || finished(); }
  bool finished() const { return pending_ == 0; }

  /// Throws the ApiError of the first response that failed: 400 refused, 499 cancelled, 502 failed.
  void throw_if_failed() const;

  /// The whole answer, once finished and not failed.
  Json answer() const { return writer_->whole(responses_); }

  /// Streaming: text of the events taken in since the last call; after the last one it closes with
  /// the finish reasons, the usage if asked for, and [DONE].
  std::string take_stream_text();

  const std::vector<TextResponse>& responses() const { return responses_; }
  double first_token_s() const { return first_token_s_; }  ///< -1: none came
  double elapsed_s() const;

 private:
  struct Event {
    size_t prompt = 0;
    std::optional<StreamDelta> delta;
    std::optional<TextResponse> response;
  };

  explicit Generation(GenerationCall call) : call_(std::move(call)) {}
  void submit(TextModel& model, size_t prompt, TextRequest request);
  void push(Event event);
  Event pop();
  void close_stream();

  GenerationCall call_;
  std::optional<AnswerWriter> writer_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Event> events_;  // of the model's threads
  std::vector<TextResponse> responses_;
  size_t pending_ = 0;
  double first_token_s_ = -1;
  std::string stream_text_;
  bool opened_ = false, closed_ = false;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

/// The served name that a client asked for; "" is the first. Throws ApiError 404.
const ServedName& find_name(const ServedModel& served, const std::string& model);

/// Messages by the served chat template, which is there. `names` are their authors'; empty: none
/// has one. Throws ApiError 400 where the template leaves a name out.
std::string render_messages(const ServedModel& served, const std::vector<ChatMessage>& messages,
                            const std::vector<std::string>& names, bool add_generation_prompt);

/// The same of messages as a body has them.
std::string render_messages(const ServedModel& served, const Json& messages,
                            bool add_generation_prompt);

/// Token ids of a prompt, where the server has the tokenizer (and for messages the template).
/// `names` as for render_messages; without a template they are refused.
std::optional<std::vector<int32_t>> encode_prompt(
    const ServedModel& served,
    const std::variant<std::vector<int32_t>, std::string, std::vector<ChatMessage>>& prompt,
    const std::vector<std::string>& names = {});

}  // namespace weft
