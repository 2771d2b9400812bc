#include "net/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>

#include "base/error.h"
#include "tests/net/support.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using net::Exchange;
using net::HandlerThread;
using net::Hooks;
using net::Request;
using net::Response;
using net::Route;
using net::Routes;
using test::body_of;
using test::get;
using test::post;
using test::RawClient;
using test::start_server;
using test::status_of;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ask(const net::Server& server, const std::string& bytes) {
  RawClient client(server.port());
  client.send(bytes);
  return client.read_answer();
}

TEST(NetServer, RoutesByPathAndMethodAndKeepsTheConnection) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send(get("/health"));
  const std::string first = client.read_answer();
  EXPECT_EQ(status_of(first), 200);
  EXPECT_THAT(first, HasSubstr("\r\nContent-Type: text/plain\r\n"));
  EXPECT_THAT(first, HasSubstr("\r\nDate: "));
  EXPECT_THAT(first, Not(HasSubstr("Connection:")));
  EXPECT_EQ(body_of(first), "ok");
  client.send(get("/echo/a%2Fb?x=1"));
  EXPECT_EQ(body_of(client.read_answer()), "a/b?x=1");
  client.send(post("/echo", "hello"));
  EXPECT_EQ(body_of(client.read_answer()), "hello");
}

TEST(NetServer, AnswersUnknownPathsAndMethodsFromTheTable) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send(get("/nothing"));
  EXPECT_EQ(status_of(client.read_answer()), 404);
  client.send("DELETE /health HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string wrong = client.read_answer();
  EXPECT_EQ(status_of(wrong), 405);
  EXPECT_THAT(wrong, HasSubstr("\r\nAllow: GET, HEAD, OPTIONS\r\n"));
  client.send("OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string options = client.read_answer();
  EXPECT_EQ(status_of(options), 204);
  EXPECT_THAT(options, HasSubstr("\r\nAllow: OPTIONS, POST\r\n"));
  client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(status_of(client.read_answer()), 204);
}

TEST(NetServer, HeadIsGetWithoutItsBody) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send("HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n" + get("/health"));
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 2\r\n"));
  EXPECT_EQ(body_of(client.read_answer()), "ok");
}

TEST(NetServer, Http10IsAnsweredAndClosed) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const std::string answer = client.read_all();
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_EQ(body_of(answer), "ok");
}

TEST(NetServer, ConnectionCloseIsHonoured) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send(get("/health", "Connection: close\r\n"));
  EXPECT_EQ(body_of(client.read_all()), "ok");
}

TEST(NetServer, NoKeyMeansNothingBeyondTheHeadIsRead) {
  std::atomic<int> asked{0};
  Hooks hooks;
  hooks.admit = [&](Request& request, const Route* route) -> std::optional<Response> {
    ++asked;
    EXPECT_EQ(request.body, "");
    if (!route || !route->needs_key || request.headers.find("Authorization")) return std::nullopt;
    return Response{401, "text/plain", "who?", {}};
  };
  const auto server = start_server(test::echo_routes(), hooks);
  RawClient client(server->port());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string refused = client.read_until("who?");
  EXPECT_EQ(status_of(refused), 401);
  EXPECT_THAT(refused, HasSubstr("Connection: close"));
  // A client that goes on all the same is cut off after a mebibyte.
  int64_t sent = 0;
  const std::string piece = "10000\r\n" + std::string(65536, 'a') + "\r\n";
  while (sent < (60 << 20) && client.send(piece)) sent += 65536;
  EXPECT_LT(sent, 60 << 20);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(body_of(ask(*server, post("/echo", "hello", "Authorization: x\r\n"))), "hello");
  EXPECT_EQ(status_of(ask(*server, get("/health"))), 200);
}

TEST(NetServer, ARefusedRequestWithoutABodyKeepsTheConnection) {
  Hooks hooks;
  hooks.admit = [](Request& request, const Route*) -> std::optional<Response> {
    if (request.path == "/health") return std::nullopt;
    return Response{401, "", "", {}};
  };
  const auto server = start_server(test::echo_routes(), hooks);
  RawClient client(server->port());
  client.send(get("/echo/1") + get("/health"));
  EXPECT_EQ(status_of(client.read_answer()), 401);
  EXPECT_EQ(status_of(client.read_answer()), 200);
}

TEST(NetServer, TheEmbeddingMayAnswerWhatTheTableHasNot) {
  Hooks hooks;
  hooks.admit = [](Request& request, const Route* route) -> std::optional<Response> {
    if (route || !request.headers.find("Origin")) return std::nullopt;
    Response preflight;
    preflight.status = 204;
    preflight.headers.set("Access-Control-Allow-Origin", "*");
    return preflight;
  };
  const auto server = start_server(test::echo_routes(), hooks);
  const std::string answer =
      ask(*server, "OPTIONS /echo HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n");
  EXPECT_EQ(status_of(answer), 204);
  EXPECT_THAT(answer, HasSubstr("Access-Control-Allow-Origin: *\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
}

TEST(NetServer, ErrorsHaveTheEmbeddingsShape) {
  Hooks hooks;
  hooks.error = [](int status, const std::string& message) {
    return Response{0, "application/json", fmt::format("{{\"{}\":\"{}\"}}", status, message), {}};
  };
  const auto server = start_server(test::echo_routes(), hooks);
  const std::string answer = ask(*server, get("/nothing"));
  EXPECT_EQ(status_of(answer), 404);
  EXPECT_EQ(body_of(answer), "{\"404\":\"no such path: /nothing\"}");
  EXPECT_THAT(ask(*server, "nonsense\r\n\r\n"), HasSubstr("{\"400\":"));
}

TEST(NetServer, EveryAnswerPassesTheHooks) {
  struct Seen {
    std::string route, caller;
    net::Ended ended;
  };
  std::mutex mutex;
  std::vector<Seen> seen;
  Hooks hooks;
  hooks.admit = [](Request& request, const Route*) -> std::optional<Response> {
    request.caller = "ada";
    return std::nullopt;
  };
  hooks.on_response = [](const Request&, Response& response) {
    response.headers.set("X-Content-Type-Options", "nosniff");
  };
  hooks.on_end = [&](const Request& request, const net::Ended& ended) {
    const std::lock_guard lock(mutex);
    seen.push_back({request.route, request.caller, ended});
  };
  const auto server = start_server(test::echo_routes(), hooks);
  RawClient client(server->port());
  std::string answers;
  for (const auto& bytes : {get("/echo/1"), get("/nothing"), std::string("nonsense\r\n\r\n")}) {
    client.send(bytes);
    answers = client.read_answer();
    EXPECT_THAT(answers, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  }
  ASSERT_TRUE(test::wait_until([&] {
    const std::lock_guard lock(mutex);
    return seen.size() == 3;
  }));
  EXPECT_EQ(seen[0].route, "/echo/{id}");
  EXPECT_EQ(seen[0].caller, "ada");
  EXPECT_EQ(seen[0].ended.status, 200);
  EXPECT_FALSE(seen[0].ended.cut);
  EXPECT_EQ(seen[1].route, "");
  EXPECT_EQ(seen[1].ended.status, 404);
  EXPECT_EQ(seen[2].ended.status, 400);
  EXPECT_EQ(seen[2].ended.bytes, static_cast<int64_t>(answers.size()));
}

TEST(NetServer, AStatusWithoutANameIsSentWithoutOne) {
  Routes routes;
  routes.add({"GET", "/gone", true, HandlerThread::kLoop, [](const auto& exchange) {
                exchange->respond({298, "", "", {}});
              }});
  const auto server = start_server(std::move(routes));
  EXPECT_THAT(ask(*server, get("/gone")), ::testing::StartsWith("HTTP/1.1 298 \r\n"));
}

TEST(NetServer, AHandlerThatThrowsIsAnsweredWith500) {
  for (const auto thread : {HandlerThread::kLoop, HandlerThread::kWorker}) {
    Routes routes = test::echo_routes();
    routes.add(
        {"GET", "/broken", true, thread, [](const auto&) { throw std::runtime_error("secret"); }});
    const auto server = start_server(std::move(routes));
    RawClient client(server->port());
    client.send(get("/broken") + get("/health"));
    const std::string answer = client.read_answer();
    EXPECT_EQ(status_of(answer), 500);
    EXPECT_THAT(answer, Not(HasSubstr("secret")));
    EXPECT_EQ(status_of(client.read_answer()), 200);
  }
}

/// GET /wait is answered, with "done", once it is let free. Outlives the server.
struct HeldRoute {
  std::promise<void> free;
  std::shared_future<void> freed = free.get_future().share();
  std::atomic<int> running{0};

  Routes routes() {
    Routes table = test::echo_routes();
    table.add({"GET", "/wait", true, HandlerThread::kWorker, [this](const auto& exchange) {
                 ++running;
                 freed.wait();
                 exchange->respond({200, "", "done", {}});
               }});
    return table;
  }
};

TEST(NetServer, MoreWaitingRequestsThanAllowedGet503) {
  HeldRoute held;
  auto options = test::quick_options();
  options.num_loops = options.num_workers = options.max_waiting = 1;
  const auto server = start_server(held.routes(), {}, options);
  RawClient first(server->port()), second(server->port()), third(server->port());
  first.send(get("/wait"));
  ASSERT_TRUE(test::wait_until([&] { return held.running == 1; }));
  second.send(get("/wait"));
  EXPECT_EQ(status_of(ask(*server, get("/health"))), 200);  // read after the second
  third.send(get("/wait"));
  const std::string refused = third.read_answer();
  EXPECT_EQ(status_of(refused), 503);
  EXPECT_THAT(refused, HasSubstr("Retry-After: 1\r\n"));
  held.free.set_value();
  EXPECT_EQ(status_of(first.read_answer()), 200);
  EXPECT_EQ(status_of(second.read_answer()), 200);
}

TEST(NetServer, PortInUseIsOneClearError) {
  const auto server = start_server();
  net::ServerOptions options = test::quick_options();
  options.port = server->port();
  net::Server second(test::echo_routes(), {}, options);
  try {
    second.start();
    FAIL() << "both listen";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("127.0.0.1:{}", options.port)));
    EXPECT_THAT(error.what(), HasSubstr("in use"));
  }
}

TEST(NetServer, ListensOnANameAndRefusesAnUnknownOne) {
  net::ServerOptions options = test::quick_options();
  options.host = "localhost";
  EXPECT_GT(start_server(test::echo_routes(), {}, options)->port(), 0);
  options.host = "no such host";
  net::Server server(test::echo_routes(), {}, options);
  EXPECT_THROW(server.start(), Error);
}

TEST(NetServer, OptionsOutOfRangeAreRefusedByName) {
  const auto refused = [](auto change) {
    net::ServerOptions options;
    change(options);
    try {
      options.validate();
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refused([](auto& options) { options.port = 65536; }), HasSubstr("port"));
  EXPECT_THAT(refused([](auto& options) { options.num_loops = 0; }), HasSubstr("num_loops"));
  EXPECT_THAT(refused([](auto& options) { options.keep_alive_s = 0; }), HasSubstr("keep_alive_s"));
  EXPECT_THAT(refused([](auto& options) { options.max_connections = 1; }),
              HasSubstr("max_connections"));
  EXPECT_THAT(refused([](auto& options) { options.key_file = "a.pem"; }),
              HasSubstr("certificate_file"));
  EXPECT_EQ(refused([](auto&) {}), "");
}

TEST(NetServer, StopLetsTheAnswerUnderWayEndAndClosesTheRest) {
  HeldRoute held;
  auto options = test::quick_options();
  options.num_loops = 1;  // so that it knows of its end when the idle one does
  const auto server = start_server(held.routes(), {}, options);
  RawClient idle(server->port()), busy(server->port());
  idle.send(get("/health"));
  idle.read_answer();
  busy.send(get("/wait"));
  ASSERT_TRUE(test::wait_until([&] { return held.running == 1; }));
  auto stopped = std::async(std::launch::async, [&] { return server->stop(5); });
  EXPECT_TRUE(idle.is_closed_within(5));
  EXPECT_THROW(RawClient(server->port()), std::runtime_error);
  held.free.set_value();
  const std::string answer = busy.read_all();
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
  EXPECT_EQ(body_of(answer), "done");
  EXPECT_TRUE(stopped.get());
}

TEST(NetServer, StopCancelsWhatIsLeftAfterItsTime) {
  std::promise<std::shared_ptr<Exchange>> kept;
  std::atomic<int> cancelled{0};
  Routes routes = test::echo_routes();
  routes.add({"GET", "/never", true, HandlerThread::kLoop, [&](const auto& exchange) {
                exchange->on_cancel([&] { ++cancelled; });
                kept.set_value(exchange);
              }});
  const auto server = start_server(std::move(routes));
  RawClient client(server->port());
  client.send(get("/never"));
  const auto exchange = kept.get_future().get();
  EXPECT_FALSE(server->stop(0.05));
  EXPECT_EQ(cancelled, 1);
  EXPECT_TRUE(exchange->cancelled());
  exchange->respond({200, "", "late", {}});  // nobody is there, nothing breaks
  EXPECT_EQ(client.read_all(), "");
}

TEST(NetServer, NothingRemainsAfterIt) {
  { start_server(); }  // what the first one leaves in the process stays
  const int threads = test::num_threads(), descriptors = test::num_descriptors();
  for (int round = 0; round < 2; ++round) {
    const auto server = start_server();
    EXPECT_GT(test::num_threads(), threads);
    std::vector<RawClient> clients;
    for (int i = 0; i < 20; ++i) {
      clients.emplace_back(server->port());
      clients.back().send(i % 3 == 0 ? get("/health") : i % 3 == 1 ? "POST /ec" : "\x01");
    }
    clients[0].read_answer();
    EXPECT_GT(server->num_connections(), 0);
    while (clients.size() > 10) clients.pop_back();
    EXPECT_TRUE(server->stop(5));
    EXPECT_EQ(server->num_connections(), 0);
  }
  EXPECT_EQ(test::num_threads(), threads);
  EXPECT_EQ(test::num_descriptors(), descriptors);
}

}  // namespace
}  // namespace weft
