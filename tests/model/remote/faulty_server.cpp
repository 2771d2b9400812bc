#include "tests/model/remote/faulty_server.h"

#include <httplib.h>

#include <chrono>
#include <cstdlib>
#include <set>
#include <thread>

namespace weft::test {

struct FaultyServer::State {
  httplib::Server server;
  Answer answer;
  std::thread thread;
  int port = 0;
  std::atomic<int> count = 0, in_flight = 0, most = 0;
  std::mutex ports_mutex;
  std::set<int> ports;  // of clients

  void handle(const httplib::Request& request, httplib::Response& response) {
    const int number = count++;
    {
      const std::lock_guard lock(ports_mutex);
      ports.insert(request.remote_port);
    }
    const int now = ++in_flight;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    const Json body = Json::parse(request.body, nullptr, false);
    const Reply reply =
        answer(number, request.path, body, request.get_header_value("Authorization"));
    std::this_thread::sleep_for(std::chrono::milliseconds(reply.delay_ms));
    response.status = reply.status;
    for (const auto& [key, value] : reply.headers) response.set_header(key, value);
    if (reply.trickle_ms > 0) {
      response.set_content_provider(
          reply.body.size(), "application/json",
          [reply](size_t offset, size_t, httplib::DataSink& sink) {
            std::this_thread::sleep_for(std::chrono::milliseconds(reply.trickle_ms));
            return sink.write(reply.body.data() + offset, 1);
          });
    } else if (reply.cut) {
      const std::string text = reply.body;
      response.set_content_provider(text.size() + 100, "application/json",
                                    [text](size_t offset, size_t, httplib::DataSink& sink) {
                                      if (offset == 0) return sink.write(text.data(), text.size());
                                      return false;
                                    });
    } else {
      response.set_content(reply.body, "application/json");
    }
    --in_flight;
  }
};

FaultyServer::FaultyServer(Answer answer) : state_(std::make_unique<State>()) {
  state_->answer = std::move(answer);
  state_->server.new_task_queue = [] { return new httplib::ThreadPool(32); };
  state_->server.Post("/v1/.*",
                      [this](const httplib::Request& request, httplib::Response& response) {
                        state_->handle(request, response);
                      });
  state_->port = state_->server.bind_to_any_port("127.0.0.1");
  state_->thread = std::thread([this] { state_->server.listen_after_bind(); });
  while (!state_->server.is_running()) std::this_thread::yield();
}

FaultyServer::~FaultyServer() {
  state_->server.stop();
  state_->thread.join();
}

std::string FaultyServer::base_url() const {
  return "http://127.0.0.1:" + std::to_string(state_->port) + "/v1";
}

int FaultyServer::num_requests() const { return state_->count; }

int FaultyServer::num_connections() const {
  const std::lock_guard lock(state_->ports_mutex);
  return static_cast<int>(state_->ports.size());
}

int FaultyServer::max_in_flight() const { return state_->most; }

Reply completion_reply(const Json& request, const std::string& text) {
  const int n = request.value("n", 1);
  Json choices = Json::array();
  for (int i = 0; i < n; ++i) {
    Json choice = {{"index", i}, {"finish_reason", "stop"}};
    if (request.contains("messages")) {
      choice["message"] = {{"role", "assistant"}, {"content", text}};
    } else {
      choice["text"] = text;
    }
    choices.push_back(choice);
  }
  Reply reply;
  reply.body = dump_json(
      {{"choices", choices}, {"usage", {{"prompt_tokens", 10}, {"completion_tokens", 5 * n}}}});
  return reply;
}

RemoteModelOptions options_for(const FaultyServer& server) {
  setenv("no_proxy", "127.0.0.1", 1);
  RemoteModelOptions options;
  options.base_url = server.base_url();
  options.model = "m";
  options.backoff_base_s = 0.01;
  options.max_retries = 3;
  options.timeout_s = 10;
  return options;
}

}  // namespace weft::test
