#include "serve/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/stop.h"
#include "net/server.h"
#include "serve/admissions.h"
#include "serve/api_error.h"
#include "serve/generation.h"
#include "serve/response.h"

namespace weft {

namespace {

using Clock = std::chrono::steady_clock;
using ExchangePtr = std::shared_ptr<net::Exchange>;

constexpr const char* kEventStream = "text/event-stream";
constexpr const char* kDone = "data: [DONE]\n\n";
constexpr int kSpareWorkers = 16;    ///< for what is not counted by max_requests
constexpr double kLastAnswersS = 1;  ///< for answers to reach their clients, once all are made
constexpr int kClientGone = 499;     ///< nginx's status of requests that nobody waited for

/// Equal in a time that does not depend on where the texts differ.
bool same_secret(const std::string& given, const std::string& key) {
  unsigned char difference = given.size() != key.size();
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ key[i % key.size()]);
  }
  return difference == 0;
}

bool is_json(const std::string* content_type) {
  if (!content_type) return false;
  std::string_view type = std::string_view(*content_type).substr(0, content_type->find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  return net::equal_ignoring_case(type, "application/json");
}

net::Response json_response(const Json& json, int status = 200) {
  return {status, "application/json", dump_json(json), {}};
}

net::Response error_response(const ApiError& error) {
  net::Response response = json_response(error.body(), error.status());
  if (error.status() == 429) response.headers.set("Retry-After", "1");
  return response;
}

/// A route as metrics name it: without its parameter, and not as clients make paths up.
std::string label_of(const net::Request& request) {
  if (request.route.empty()) return "other";
  return request.route.substr(0, request.route.find("/{"));
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Adds to a stream, at the pace of its client. Nothing where nobody waits any more.
void send(net::Exchange& exchange, const std::string& text) {
  if (text.empty()) return;
  while (exchange.write(text) == net::Sent::kFull && exchange.wait_for_room(text.size())) {
  }
}

/// The stream of one workflow request; events may come from any thread, also after the last.
class WorkflowStream {
 public:
  WorkflowStream(ExchangePtr exchange, CancelFlag cancelled)
      : exchange_(std::move(exchange)), cancelled_(std::move(cancelled)) {
    exchange_->begin({200, kEventStream, "", {}});
  }

  /// Gives the request up when its client reads too slowly: models' threads wait for nobody.
  void add(const Json& event) {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    if (exchange_->write(sse_event(event)) == net::Sent::kFull) cancelled_->store(true);
  }

  void end(const Json& last) {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    send(*exchange_, sse_event(last) + kDone);
    exchange_->finish();
  }

 private:
  ExchangePtr exchange_;
  CancelFlag cancelled_;
  std::mutex mutex_;
  bool ended_ = false;
};

}  // namespace

struct Server::Impl {
  using Answer = void (Impl::*)(const ExchangePtr&);

  Impl(ServedModel served_model, const WorkflowService* service, WorkflowBudget most,
       HttpOptions http_options)
      : served(std::move(served_model)),
        workflows(service),
        budget(most),
        options(std::move(http_options)),
        admissions(options.max_requests) {}

  net::Routes routes();
  net::Hooks hooks();
  net::ServerOptions net_options() const;
  net::Handler guarded(Answer answer);
  std::optional<net::Response> admit(const net::Request& head, const net::Route* route) const;

  void health(const ExchangePtr& exchange);
  void page(const ExchangePtr& exchange);
  void show_metrics(const ExchangePtr& exchange);
  void list_models(const ExchangePtr& exchange);
  void show_model(const ExchangePtr& exchange);
  void tokenize(const ExchangePtr& exchange);
  void detokenize(const ExchangePtr& exchange);
  void chat(const ExchangePtr& exchange) { generate(*exchange, true); }
  void complete(const ExchangePtr& exchange) { generate(*exchange, false); }
  void run_workflow(const ExchangePtr& exchange);

  void generate(net::Exchange& exchange, bool chat);
  void stream_generation(net::Exchange& exchange, Generation& job);
  Json workflow_event(const WorkflowCall& call, const EventSink& on_event, CancelFlag cancelled);
  Json card(const ServedName& name) const;
  const Tokenizer& tokenizer() const;

  ServedModel served;
  const WorkflowService* workflows;
  WorkflowBudget budget;
  HttpOptions options;
  std::string api_key;
  ServerMetrics metrics;
  Admissions admissions;
  std::optional<net::Server> http;  // the last, so that no handler outlives what it uses
};

Server::Server(ServedModel served, const WorkflowService* workflows, WorkflowBudget budget,
               HttpOptions options) {
  options.validate();
  if (served.names.empty()) throw InputError("served names: expected at least one");
  impl_ = std::make_unique<Impl>(std::move(served), workflows, budget, std::move(options));
  if (!impl_->options.api_key_env.empty()) {
    const char* key = std::getenv(impl_->options.api_key_env.c_str());
    if (!key || !*key) {
      throw InputError(
          fmt::format("api_key_env: expected the environment variable {} to hold the "
                      "key, got nothing",
                      impl_->options.api_key_env));
    }
    impl_->api_key = key;
  }
  impl_->http.emplace(impl_->routes(), impl_->hooks(), impl_->net_options());
}

Server::~Server() { stop(); }

void Server::start() { impl_->http->start(); }

int Server::port() const { return impl_->http->port(); }

std::string Server::url() const {
  const HttpOptions& options = impl_->options;
  return fmt::format("{}://{}:{}", options.certificate_file.empty() ? "http" : "https",
                     options.host, port());
}

void Server::stop() {
  const auto start = Clock::now();
  const double drain_s = impl_->options.drain_s;
  if (!impl_->admissions.drain(drain_s)) {
    log::warn("cancelled the requests that were not done after {} s", drain_s);
  }
  impl_->http->stop(std::max(kLastAnswersS, drain_s - seconds_since(start)));
}

void serve_until_stopped(Server& server) {
  server.start();
  log::info("listening on {}", server.url());
  while (!stop_signal()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  log::info("stopping: no new requests, waiting for those being answered");
  server.stop();
  throw_if_stopped();
}

net::Routes Server::Impl::routes() {
  constexpr bool kKey = true, kOpen = false;
  constexpr auto kLoop = net::HandlerThread::kLoop;
  constexpr auto kWorker = net::HandlerThread::kWorker;
  net::Routes table;
  table.add({"GET", "/", kOpen, kLoop, guarded(&Impl::page)});
  table.add({"GET", "/health", kOpen, kLoop, guarded(&Impl::health)});
  table.add({"GET", "/metrics", kKey, kWorker, guarded(&Impl::show_metrics)});
  table.add({"GET", "/v1/models", kKey, kWorker, guarded(&Impl::list_models)});
  table.add({"GET", "/v1/models/{id*}", kKey, kWorker, guarded(&Impl::show_model)});
  table.add({"POST", "/tokenize", kKey, kWorker, guarded(&Impl::tokenize)});
  table.add({"POST", "/detokenize", kKey, kWorker, guarded(&Impl::detokenize)});
  table.add({"POST", "/v1/chat/completions", kKey, kWorker, guarded(&Impl::chat)});
  table.add({"POST", "/v1/completions", kKey, kWorker, guarded(&Impl::complete)});
  table.add({"POST", "/v1/workflows", kKey, kWorker, guarded(&Impl::run_workflow)});
  return table;
}

net::Hooks Server::Impl::hooks() {
  net::Hooks hooks;
  hooks.admit = [this](net::Request& head, const net::Route* route) { return admit(head, route); };
  hooks.error = [](int status, const std::string& message) {
    return error_response(ApiError(status, message));
  };
  // Before the reply goes out, so that whoever has seen it finds it counted.
  hooks.on_response = [this](const net::Request& request, net::Response& response) {
    metrics.count_http(label_of(request), response.status);
  };
  hooks.on_end = [this](const net::Request& request, const net::Ended& ended) {
    if (ended.status == 0) metrics.count_http(label_of(request), kClientGone);
  };
  return hooks;
}

net::ServerOptions Server::Impl::net_options() const {
  net::ServerOptions of_net;
  of_net.host = options.host;
  of_net.port = options.port;
  of_net.certificate_file = options.certificate_file;
  of_net.key_file = options.key_file;
  const int wanted = options.max_requests + kSpareWorkers;
  of_net.num_workers = static_cast<int>(std::min<int64_t>(wanted, max_concurrent()));
  of_net.max_connections = std::max(of_net.max_connections, wanted);
  of_net.max_body_bytes = options.max_body_kb * 1024;
  of_net.keep_alive_s = options.keep_alive_s;
  return of_net;
}

std::optional<net::Response> Server::Impl::admit(const net::Request& head,
                                                 const net::Route* route) const {
  if (!route) return std::nullopt;
  if (route->needs_key && !api_key.empty()) {
    const std::string* given = head.headers.find("Authorization");
    if (!given || !same_secret(*given, "Bearer " + api_key)) {
      return error_response(ApiError(401, "Incorrect API key provided.", "", "invalid_api_key"));
    }
  }
  if (route->method == "POST" && !is_json(head.headers.find("Content-Type"))) {
    return error_response(ApiError(415, "Content-Type: expected application/json"));
  }
  return std::nullopt;
}

net::Handler Server::Impl::guarded(Answer answer) {
  return [this, answer](const ExchangePtr& exchange) {
    try {
      (this->*answer)(exchange);
    } catch (const ApiError& error) {
      exchange->respond(error_response(error));
    } catch (const InputError& error) {  // a chat template that refuses the messages
      exchange->respond(error_response(ApiError(400, error.what())));
    } catch (const std::exception& error) {
      const net::Request& request = exchange->request();
      log::error("{} {}: {}", request.method, request.path, error.what());
      exchange->respond(error_response(ApiError(500, error.what())));
    }
  };
}

void Server::Impl::health(const ExchangePtr& exchange) {
  if (admissions.draining()) throw ApiError(503, "the server is shutting down");
  exchange->respond(json_response({{"status", "ok"}}));
}

void Server::Impl::page(const ExchangePtr& exchange) {
  exchange->respond({200, "text/html; charset=utf-8", std::string(serve_page()), {}});
}

void Server::Impl::show_metrics(const ExchangePtr& exchange) {
  const ModelLoad load = served.load ? served.load() : ModelLoad{};
  const auto kept = workflows ? workflows->kept() : std::nullopt;
  exchange->respond({200,
                     "text/plain; version=0.0.4",
                     metrics.text(served.names.front().id, load, admissions.count(), kept),
                     {}});
}

Json Server::Impl::card(const ServedName& name) const {
  Json json = {{"id", name.id}, {"object", "model"}, {"created", 0}, {"owned_by", "weft"}};
  json["parent"] = name.adapter.empty() ? Json() : Json(served.names.front().id);
  if (!name.description.empty()) json["description"] = name.description;
  if (served.max_context > 0) json["max_model_len"] = served.max_context;
  return json;
}

void Server::Impl::list_models(const ExchangePtr& exchange) {
  Json data = Json::array();
  for (const ServedName& name : served.names) data.push_back(card(name));
  exchange->respond(json_response({{"object", "list"}, {"data", std::move(data)}}));
}

void Server::Impl::show_model(const ExchangePtr& exchange) {
  exchange->respond(json_response(card(find_name(served, exchange->request().parameter("id")))));
}

const Tokenizer& Server::Impl::tokenizer() const {
  if (!served.tokenizer) throw ApiError(501, "this server has no tokenizer for its remote model");
  return *served.tokenizer;
}

void Server::Impl::tokenize(const ExchangePtr& exchange) {
  const Json body = parse_body(exchange->request().body);
  std::vector<int32_t> ids;
  if (body.contains("messages")) {
    if (!served.chat_template) throw ApiError(501, "this server's model has no chat template");
    const bool generation = bool_field(body, "add_generation_prompt", true);
    ids = tokenizer().encode(render_messages(served, body["messages"], generation),
                             bool_field(body, "add_special_tokens", false));
  } else {
    if (!body.contains("prompt")) {
      throw ApiError(400, "expected prompt (a string) or messages (an array)", "prompt");
    }
    ids = tokenizer().encode(string_field(body, "prompt", ""),
                             bool_field(body, "add_special_tokens", true));
  }
  Json json = {{"count", ids.size()}, {"max_model_len", served.max_context}, {"tokens", ids}};
  if (bool_field(body, "return_token_strs", false)) {
    json["token_strs"] = Json::array();
    for (const int32_t id : ids) json["token_strs"].push_back(tokenizer().token_bytes(id));
  }
  exchange->respond(json_response(json));
}

void Server::Impl::detokenize(const ExchangePtr& exchange) {
  const Json body = parse_body(exchange->request().body);
  const Json tokens = body.value("tokens", Json());
  if (!tokens.is_array()) throw ApiError(400, "tokens: expected an array of token ids", "tokens");
  exchange->respond(json_response({{"prompt", tokenizer().decode(ids_value(tokens, "tokens"))}}));
}

void Server::Impl::generate(net::Exchange& exchange, bool chat) {
  const auto ticket = admissions.enter();
  exchange.on_cancel([flag = ticket->cancelled()] { flag->store(true); });
  const Json body = parse_body(exchange.request().body);
  const RequestLimits limits{options.max_choices};
  GenerationCall call = chat ? parse_chat_call(body, limits) : parse_completion_call(body, limits);
  const bool stream = call.stream;
  const auto job =
      Generation::start(served, std::move(call), options.default_max_tokens, ticket->cancelled());
  while (stream ? !job->begun() : !job->finished()) job->step();
  if (stream && job->first_token_s() >= 0) return stream_generation(exchange, *job);
  metrics.count_request(job->responses(), job->first_token_s(), job->elapsed_s());
  job->throw_if_failed();
  exchange.respond(stream ? net::Response{200, kEventStream, job->take_stream_text(), {}}
                          : json_response(job->answer()));
}

void Server::Impl::stream_generation(net::Exchange& exchange, Generation& job) {
  exchange.begin({200, kEventStream, "", {}});
  while (!job.finished()) {
    send(exchange, job.take_stream_text());
    job.step();
  }
  metrics.count_request(job.responses(), job.first_token_s(), job.elapsed_s());
  send(exchange, job.take_stream_text());
  exchange.finish();
}

/// The last event: {"type":"done", ...the answer} or {"type":"error","status",...the error's body}.
Json Server::Impl::workflow_event(const WorkflowCall& call, const EventSink& on_event,
                                  CancelFlag cancelled) {
  const auto start = Clock::now();
  const auto failed = [this, start](const ApiError& error) {
    metrics.count_workflow("error", 0, seconds_since(start));
    Json event = {{"type", "error"}, {"status", error.status()}};
    event.update(error.body());
    return event;
  };
  try {
    Json event = {{"type", "done"}};
    event.update(workflows->handle(call, on_event, std::move(cancelled)));
    metrics.count_workflow(event.value("outcome", event["valid"] == true ? "written" : "invalid"),
                           event["usage"]["worker_calls"].get<int64_t>(), seconds_since(start));
    return event;
  } catch (const ApiError& error) {
    return failed(error);
  } catch (const std::exception& error) {
    return failed(ApiError(500, error.what()));
  }
}

void Server::Impl::run_workflow(const ExchangePtr& exchange) {
  if (!workflows) throw ApiError(501, "this server runs no workflows");
  const auto ticket = admissions.enter();
  exchange->on_cancel([flag = ticket->cancelled()] { flag->store(true); });
  const WorkflowCall call = parse_workflow_call(parse_body(exchange->request().body), budget);
  if (call.stream) {
    const auto stream = std::make_shared<WorkflowStream>(exchange, ticket->cancelled());
    const auto add = [stream](const Json& event) { stream->add(event); };
    stream->end(workflow_event(call, add, ticket->cancelled()));
    return;
  }
  Json event = workflow_event(call, {}, ticket->cancelled());
  if (event["type"] == "error") {
    return exchange->respond(
        json_response({{"error", event["error"]}}, event["status"].get<int>()));
  }
  event.erase("type");
  exchange->respond(json_response(event));
}

}  // namespace weft
