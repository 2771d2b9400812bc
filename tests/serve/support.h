/// What the server's tests share: a model that streams, a server around it, a client.
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/json.h"
#include "serve/server.h"
#include "tests/support/scripted_model.h"
#include "tests/support/support.h"

namespace weft::test {

/// A ScriptedModel that hands its text out one character at a time, `pause_ms` apart, and stops
/// when cancelled. Every choice of a request streams.
class StreamingModel : public TextModel {
 public:
  explicit StreamingModel(ScriptedModel::Answer answer, int pause_ms = 0)
      : inner_(std::move(answer)), pause_ms_(pause_ms) {}

  std::string name() const override { return "streaming"; }

  void submit(TextRequest request, std::function<void(TextResponse)> done) override {
    auto shown = std::make_shared<TextRequest>(request);
    request.on_delta = nullptr;  // streamed here, not by the inner model
    inner_.submit(std::move(request), [this, shown, done = std::move(done)](TextResponse reply) {
      for (size_t choice = 0; choice < reply.choices.size(); ++choice) {
        if (!stream(*shown, static_cast<int>(choice), reply.choices[choice])) {
          reply = TextResponse{};
          reply.status = ResponseStatus::kCancelled;
          ++cancelled;
          break;
        }
      }
      done(std::move(reply));
    });
  }

  ScriptedModel& inner() { return inner_; }
  std::atomic<int> cancelled{0};

 private:
  bool stream(const TextRequest& request, int choice, const Completion& completion) {
    for (size_t i = 0; i < completion.text.size(); ++i) {
      if (request.cancelled && request.cancelled->load()) return false;
      if (pause_ms_) std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms_));
      if (!request.on_delta) continue;
      request.on_delta(
          {choice, completion.text.substr(i, 1), {completion.ids[i]}, {completion.logprobs[i]}});
    }
    return true;
  }

  ScriptedModel inner_;
  int pause_ms_;
};

/// Data of each event of a server-sent stream.
inline std::vector<std::string> sse_events(const std::string& body) {
  std::vector<std::string> events;
  for (size_t at = 0; (at = body.find("data: ", at)) != std::string::npos;) {
    const size_t end = body.find("\n\n", at);
    events.push_back(body.substr(at + 6, end - at - 6));
    at = end;
  }
  return events;
}

/// POSTs JSON.
inline httplib::Result post(httplib::Client& client, const std::string& path, const Json& body) {
  return client.Post(path, dump_json(body), "application/json");
}

}  // namespace weft::test
