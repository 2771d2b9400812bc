#include "serve/server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/stop.h"
#include "serve/admissions.h"
#include "serve/api_error.h"
#include "serve/connection.h"
#include "serve/generation.h"
#include "serve/response.h"
#include "serve/workflow_exchange.h"

namespace weft {

namespace {

using Handler = std::function<void(const httplib::Request&, httplib::Response&)>;

/// Exactly this text: with a parameter behind it httplib would gzip the stream and hold it back.
constexpr const char* kEventStream = "text/event-stream";

/// Equal in a time that does not depend on where the texts differ.
bool same_secret(const std::string& given, const std::string& key) {
  unsigned char difference = given.size() != key.size();
  for (size_t i = 0; i < given.size(); ++i) {
    difference |= static_cast<unsigned char>(given[i] ^ key[i % key.size()]);
  }
  return difference == 0;
}

void send_json(httplib::Response& response, const Json& json) {
  response.set_content(dump_json(json), "application/json");
}

void send_error(httplib::Response& response, const ApiError& error) {
  response.status = error.status();
  if (error.status() == 429) response.set_header("Retry-After", "1");
  send_json(response, error.body());
}

/// What httplib itself refuses, in OpenAI's shape.
ApiError error_of_status(const httplib::Request& request, int status, int64_t max_body_kb) {
  if (status == 404) return {404, fmt::format("no such path: {} {}", request.method, request.path)};
  if (status == 413)
    return {413, fmt::format("request body: expected at most {} KiB", max_body_kb)};
  return {status, fmt::format("HTTP error {}", status)};
}

/// Label of a request's path: a route of this server, so that clients cannot make up new ones.
std::string route_of(const std::string& path) {
  static const std::set<std::string> kRoutes = {"/",
                                                "/health",
                                                "/metrics",
                                                "/v1/models",
                                                "/tokenize",
                                                "/detokenize",
                                                "/v1/chat/completions",
                                                "/v1/completions",
                                                "/v1/workflows"};
  if (path.rfind("/v1/models/", 0) == 0) return "/v1/models";
  return kRoutes.count(path) ? path : "other";
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

struct Server::Impl {
  Impl(ServedModel served_model, const WorkflowService* service, WorkflowBudget most,
       HttpOptions http_options)
      : served(std::move(served_model)),
        workflows(service),
        budget(most),
        options(std::move(http_options)),
        admissions(options.max_requests) {}

  void configure();
  void add_routes();
  Handler guarded(Handler handler, bool open = false);
  void check_key(const httplib::Request& request) const;
  void models(const httplib::Request& request, httplib::Response& response) const;
  void tokenize(const httplib::Request& request, httplib::Response& response) const;
  void detokenize(const httplib::Request& request, httplib::Response& response) const;
  void generate(const httplib::Request& request, httplib::Response& response, bool chat);
  void stream_generation(std::shared_ptr<Generation> job,
                         std::shared_ptr<Admissions::Ticket> ticket, PeerWatch peer,
                         httplib::Response& response);
  void run_workflow(const httplib::Request& request, httplib::Response& response);
  void stream_workflow(std::shared_ptr<WorkflowExchange> job,
                       std::shared_ptr<Admissions::Ticket> ticket, PeerWatch peer,
                       httplib::Response& response);
  void count_workflow(const Json& event, std::chrono::steady_clock::time_point start);
  const Tokenizer& tokenizer() const;

  ServedModel served;
  const WorkflowService* workflows;
  WorkflowBudget budget;
  HttpOptions options;
  std::string api_key;
  ServerMetrics metrics;
  Admissions admissions;
  httplib::Server http;
  std::thread listener;
  int bound_port = 0;
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
  impl_->configure();
  impl_->add_routes();
}

Server::~Server() {
  if (impl_->listener.joinable()) stop();
}

void Server::start() {
  const auto& options = impl_->options;
  errno = 0;
  if (options.port == 0) {
    impl_->bound_port = impl_->http.bind_to_any_port(options.host);
  } else if (impl_->http.bind_to_port(options.host, options.port)) {
    impl_->bound_port = options.port;
  }
  if (impl_->bound_port <= 0) {
    throw Error(with_errno(fmt::format("cannot listen on {}:{}", options.host, options.port)));
  }
  impl_->listener = std::thread([this] { impl_->http.listen_after_bind(); });
  while (!impl_->http.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

int Server::port() const { return impl_->bound_port; }

std::string Server::url() const {
  return fmt::format("http://{}:{}", impl_->options.host, impl_->bound_port);
}

void Server::stop() {
  if (!impl_->admissions.drain(impl_->options.drain_s)) {
    log::warn("cancelled the requests that were not done after {} s", impl_->options.drain_s);
  }
  impl_->http.stop();
  if (impl_->listener.joinable()) impl_->listener.join();
}

void serve_until_stopped(Server& server) {
  server.start();
  log::info("listening on {}", server.url());
  while (!stop_signal()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  log::info("stopping: no new requests, waiting for those being answered");
  server.stop();
  throw_if_stopped();
}

void Server::Impl::configure() {
  // Without SO_REUSEPORT, which is httplib's default and lets two servers share a port unnoticed.
  http.set_socket_options([](int socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  http.set_tcp_nodelay(true);
  http.set_keep_alive_timeout(2);
  http.set_keep_alive_max_count(1000);
  http.set_payload_max_length(static_cast<size_t>(options.max_body_kb) * 1024);
  const size_t threads = static_cast<size_t>(options.max_requests) + 16;
  http.new_task_queue = [threads] { return new httplib::ThreadPool(threads); };
  http.set_error_handler([this](const httplib::Request& request, httplib::Response& response) {
    if (response.body.empty() && !response.content_provider_) {
      send_error(response, error_of_status(request, response.status, options.max_body_kb));
    }
  });
  // Before the reply goes out, so that whoever has seen it finds it counted.
  http.set_post_routing_handler(
      [this](const httplib::Request& request, httplib::Response& response) {
        metrics.count_http(route_of(request.path), response.status);
      });
}

Handler Server::Impl::guarded(Handler handler, bool open) {
  return [this, open, handler = std::move(handler)](const httplib::Request& request,
                                                    httplib::Response& response) {
    try {
      if (!open) check_key(request);
      handler(request, response);
    } catch (const ApiError& error) {
      send_error(response, error);
    } catch (const InputError& error) {  // a chat template that refuses the messages
      send_error(response, ApiError(400, error.what()));
    } catch (const std::exception& error) {
      log::error("{} {}: {}", request.method, request.path, error.what());
      send_error(response, ApiError(500, error.what()));
    }
  };
}

void Server::Impl::check_key(const httplib::Request& request) const {
  if (api_key.empty()) return;
  const std::string given = request.get_header_value("Authorization");
  if (!same_secret(given, "Bearer " + api_key)) {
    throw ApiError(401, "Incorrect API key provided.", "", "invalid_api_key");
  }
}

void Server::Impl::add_routes() {
  using httplib::Request;
  using httplib::Response;
  http.Get("/health", guarded(
                          [this](const Request&, Response& response) {
                            if (admissions.draining())
                              throw ApiError(503, "the server is shutting down");
                            send_json(response, {{"status", "ok"}});
                          },
                          true));
  http.Get("/", guarded(
                    [](const Request&, Response& response) {
                      const std::string_view page = serve_page();
                      response.set_content(page.data(), page.size(), "text/html; charset=utf-8");
                    },
                    true));
  http.Get("/metrics", guarded([this](const Request&, Response& response) {
             const ModelLoad load = served.load ? served.load() : ModelLoad{};
             const auto kept = workflows ? workflows->kept() : std::nullopt;
             response.set_content(
                 metrics.text(served.names.front().id, load, admissions.count(), kept),
                 "text/plain; version=0.0.4");
           }));
  http.Get(R"(/v1/models(/.+)?)", guarded([this](const Request& request, Response& response) {
             models(request, response);
           }));
  http.Post("/tokenize", guarded([this](const Request& request, Response& response) {
              tokenize(request, response);
            }));
  http.Post("/detokenize", guarded([this](const Request& request, Response& response) {
              detokenize(request, response);
            }));
  http.Post("/v1/chat/completions", guarded([this](const Request& request, Response& response) {
              generate(request, response, true);
            }));
  http.Post("/v1/completions", guarded([this](const Request& request, Response& response) {
              generate(request, response, false);
            }));
  http.Post("/v1/workflows", guarded([this](const Request& request, Response& response) {
              run_workflow(request, response);
            }));
}

void Server::Impl::models(const httplib::Request& request, httplib::Response& response) const {
  const auto card = [this](const ServedName& name) -> Json {
    Json json = {{"id", name.id}, {"object", "model"}, {"created", 0}, {"owned_by", "weft"}};
    json["parent"] = name.adapter.empty() ? Json() : Json(served.names.front().id);
    if (!name.description.empty()) json["description"] = name.description;
    if (served.max_context > 0) json["max_model_len"] = served.max_context;
    return json;
  };
  if (request.matches[1].matched) {
    send_json(response, card(find_name(served, request.matches[1].str().substr(1))));
    return;
  }
  Json data = Json::array();
  for (const ServedName& name : served.names) data.push_back(card(name));
  send_json(response, {{"object", "list"}, {"data", std::move(data)}});
}

const Tokenizer& Server::Impl::tokenizer() const {
  if (!served.tokenizer) throw ApiError(501, "this server has no tokenizer for its remote model");
  return *served.tokenizer;
}

void Server::Impl::tokenize(const httplib::Request& request, httplib::Response& response) const {
  const Json body = parse_body(request.body);
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
  send_json(response, json);
}

void Server::Impl::detokenize(const httplib::Request& request, httplib::Response& response) const {
  const Json body = parse_body(request.body);
  const Json tokens = body.value("tokens", Json());
  if (!tokens.is_array()) throw ApiError(400, "tokens: expected an array of token ids", "tokens");
  send_json(response, {{"prompt", tokenizer().decode(ids_value(tokens, "tokens"))}});
}

void Server::Impl::generate(const httplib::Request& request, httplib::Response& response,
                            bool chat) {
  const auto ticket = admissions.enter();
  const Json body = parse_body(request.body);
  const RequestLimits limits{options.max_choices};
  GenerationCall call = chat ? parse_chat_call(body, limits) : parse_completion_call(body, limits);
  const bool stream = call.stream;
  const auto job =
      Generation::start(served, std::move(call), options.default_max_tokens, ticket->cancelled());
  const PeerWatch peer(request.remote_addr, request.remote_port);
  while (stream ? !job->begun() : !job->finished()) {
    if (!job->step() && peer.gone()) job->cancel();
  }
  if (stream && !(job->finished() && job->first_token_s() < 0)) {
    stream_generation(job, ticket, peer, response);
    return;
  }
  metrics.count_request(job->responses(), job->first_token_s(), job->elapsed_s());
  job->throw_if_failed();
  if (stream) {
    response.set_content(job->take_stream_text(), kEventStream);
  } else {
    send_json(response, job->answer());
  }
}

void Server::Impl::stream_generation(std::shared_ptr<Generation> job,
                                     std::shared_ptr<Admissions::Ticket> ticket, PeerWatch peer,
                                     httplib::Response& response) {
  response.set_header("Cache-Control", "no-cache");
  response.set_chunked_content_provider(
      kEventStream,
      [this, job, ticket, peer](size_t, httplib::DataSink& sink) {
        const std::string text = job->take_stream_text();
        const bool sent = text.empty() || sink.write(text.data(), text.size());
        if (!sent || peer.gone()) job->cancel();
        if (!job->finished()) {
          job->step();
          return true;
        }
        const std::string rest = job->take_stream_text();
        if (!rest.empty()) sink.write(rest.data(), rest.size());
        metrics.count_request(job->responses(), job->first_token_s(), job->elapsed_s());
        sink.done();
        return true;
      },
      [job](bool) { job->cancel(); });
}

void Server::Impl::count_workflow(const Json& event, std::chrono::steady_clock::time_point start) {
  std::string outcome = "error";
  int64_t calls = 0;
  if (event["type"] == "done") {
    outcome = event.value("outcome", event["valid"] == true ? "written" : "invalid");
    calls = event["usage"]["worker_calls"].get<int64_t>();
  }
  metrics.count_workflow(outcome, calls, seconds_since(start));
}

void Server::Impl::run_workflow(const httplib::Request& request, httplib::Response& response) {
  if (!workflows) throw ApiError(501, "this server runs no workflows");
  const auto ticket = admissions.enter();
  const auto start = std::chrono::steady_clock::now();
  WorkflowCall call = parse_workflow_call(parse_body(request.body), budget);
  const bool stream = call.stream;
  const auto job =
      std::make_shared<WorkflowExchange>(*workflows, std::move(call), ticket->cancelled());
  const PeerWatch peer(request.remote_addr, request.remote_port);
  if (stream) {
    stream_workflow(job, ticket, peer, response);
    return;
  }
  std::optional<Json> event;
  while (!event) {
    event = job->next();
    if (!event && peer.gone()) ticket->cancelled()->store(true);
  }
  count_workflow(*event, start);
  if ((*event)["type"] == "error") {
    response.status = (*event)["status"].get<int>();
    send_json(response, {{"error", (*event)["error"]}});
    return;
  }
  event->erase("type");
  send_json(response, *event);
}

void Server::Impl::stream_workflow(std::shared_ptr<WorkflowExchange> job,
                                   std::shared_ptr<Admissions::Ticket> ticket, PeerWatch peer,
                                   httplib::Response& response) {
  const auto start = std::chrono::steady_clock::now();
  response.set_header("Cache-Control", "no-cache");
  response.set_chunked_content_provider(
      kEventStream,
      [this, job, ticket, peer, start](size_t, httplib::DataSink& sink) {
        const std::optional<Json> event = job->next();
        if (peer.gone()) ticket->cancelled()->store(true);
        if (!event) return true;
        std::string text = sse_event(*event);
        const bool last = WorkflowExchange::is_last(*event);
        if (last) text += "data: [DONE]\n\n";
        if (!sink.write(text.data(), text.size())) ticket->cancelled()->store(true);
        if (last) {
          count_workflow(*event, start);
          sink.done();
        }
        return true;
      },
      [ticket](bool) { ticket->cancelled()->store(true); });
}

}  // namespace weft
