// Order, deadlines and bounds of connections.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "base/error.h"
#include "tests/net/support.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using net::HandlerThread;
using net::Routes;
using test::body_of;
using test::get;
using test::post;
using test::RawClient;
using test::start_server;
using test::status_of;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What the server answers while a client sends a byte in each 20 ms.
std::string drip(RawClient& client, const std::string& bytes) {
  std::atomic<bool> answered{false};
  std::thread sender([&] {
    for (size_t i = 0; i < bytes.size() && !answered && client.send(bytes.substr(i, 1)); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  std::string answer = client.read_answer();
  answered = true;
  sender.join();
  return answer;
}

TEST(Connection, AnswersPipelinedRequestsInTheirOrder) {
  Routes routes = test::echo_routes();
  routes.add({"GET", "/slow/{id}", true, HandlerThread::kWorker, [](const auto& exchange) {
                const std::string id = exchange->request().parameter("id");
                std::this_thread::sleep_for(std::chrono::milliseconds(id == "0" ? 30 : 1));
                exchange->respond({200, "", id, {}});
              }});
  const auto server = start_server(std::move(routes));
  RawClient client(server->port());
  std::string bytes;
  for (int i = 0; i < 20; ++i) {
    bytes += i % 2 ? get(fmt::format("/echo/{}", i)) : get(fmt::format("/slow/{}", i));
  }
  bytes += post("/echo", "last");
  client.send(bytes);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(body_of(client.read_answer()), fmt::format("{}{}", i, i % 2 ? "?" : ""));
  }
  EXPECT_EQ(body_of(client.read_answer()), "last");
}

TEST(Connection, NothingAfterARequestThatClosesIsAnswered) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send(get("/echo/1", "Connection: close\r\n") + get("/echo/2"));
  const std::string answers = client.read_all();
  EXPECT_EQ(body_of(answers), "1?");
}

TEST(Connection, AnswersWhatCameBeforeTheEndOfInput) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send(get("/echo/1") + get("/echo/2"));
  client.end_sending();
  EXPECT_EQ(body_of(client.read_answer()), "1?");
  EXPECT_EQ(body_of(client.read_answer()), "2?");
  EXPECT_EQ(client.read_all(), "");
}

TEST(Connection, AHeadHasItsTimeHoweverItDrips) {
  auto options = test::quick_options();
  options.keep_alive_s = 20;
  const auto server = start_server(test::echo_routes(), {}, options);
  for (const bool first : {true, false}) {
    RawClient client(server->port());
    if (!first) {
      client.send(get("/health"));
      client.read_answer();
    }
    const auto start = Clock::now();
    const std::string answer = drip(client, get("/health"));
    EXPECT_EQ(status_of(answer), 408);
    EXPECT_GE(seconds_since(start), 0.18);
  }
}

TEST(Connection, ABodyHasItsTimeHoweverItDrips) {
  const auto server = start_server();
  RawClient client(server->port());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n");
  EXPECT_EQ(status_of(drip(client, std::string(50, 'a'))), 408);
}

TEST(Connection, SilentOnesAreClosedAfterTheirTime) {
  auto options = test::quick_options();
  options.keep_alive_s = 0.3;
  const auto server = start_server(test::echo_routes(), {}, options);
  RawClient silent(server->port()), used(server->port());
  used.send(get("/health"));
  used.read_answer();
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  used.send(get("/health"));
  EXPECT_EQ(status_of(used.read_answer()), 200);
  const auto start = Clock::now();
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_TRUE(used.is_closed_within(5));
  EXPECT_GE(seconds_since(start), 0.25);
}

TEST(Connection, OneTooManyClosesTheOneThatWaitedLongest) {
  auto options = test::quick_options();
  options.max_connections = 3;
  options.head_timeout_s = 20;
  const auto server = start_server(test::echo_routes(), {}, options);
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(server->port());
    clients.back().send(get("/health"));
    EXPECT_EQ(status_of(clients.back().read_answer()), 200);
  }
  EXPECT_EQ(server->num_connections(), 3);
  RawClient next(server->port());
  next.send(get("/health"));
  EXPECT_EQ(status_of(next.read_answer()), 200);
  EXPECT_EQ(server->num_connections(), 3);
  int closed = 0;
  for (auto& client : clients) closed += client.is_closed_within(0.05);
  EXPECT_EQ(closed, 1);
}

/// Lets the process have so many more file descriptors than it has now.
class FewDescriptors {
 public:
  explicit FewDescriptors(int more) {
    getrlimit(RLIMIT_NOFILE, &before_);
    std::vector<int> taken;  // each the lowest that is free
    for (int i = 0; i < more; ++i) taken.push_back(dup(STDERR_FILENO));
    rlimit few = before_;
    few.rlim_cur = static_cast<rlim_t>(taken.back() + 1);
    setrlimit(RLIMIT_NOFILE, &few);
    for (const int fd : taken) close(fd);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(Connection, WithoutDescriptorsTheOneThatWaitedLongestMakesRoom) {
  auto options = test::quick_options();
  options.head_timeout_s = options.keep_alive_s = 20;
  const auto server = start_server(test::echo_routes(), {}, options);
  std::vector<RawClient> clients;
  const FewDescriptors few(9);  // four connections have two ends each, and one has its client's
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back(server->port());
    clients.back().send(get("/health"));
    EXPECT_EQ(status_of(clients.back().read_answer()), 200) << i;
  }
  EXPECT_LT(server->num_connections(), 5);
}

TEST(Connection, AServerWithoutDescriptorsDoesNotStart) {
  net::Server server(test::echo_routes(), {}, test::quick_options());
  const FewDescriptors few(4);
  EXPECT_THROW(server.start(), Error);
}

TEST(Connection, OneTooManyIsTurnedAwayWhereAllAreAnswered) {
  auto options = test::quick_options();
  options.num_loops = 1;
  options.max_connections = 2;
  std::vector<std::shared_ptr<net::Exchange>> kept;
  std::atomic<int> held{0};
  Routes routes = test::echo_routes();
  routes.add({"GET", "/hold", true, HandlerThread::kLoop, [&](const auto& exchange) {
                kept.push_back(exchange);
                ++held;
              }});
  const auto server = start_server(std::move(routes), {}, options);
  RawClient first(server->port()), second(server->port());
  for (auto* client : {&first, &second}) client->send(get("/hold"));
  ASSERT_TRUE(test::wait_until([&] { return held == 2; }));
  RawClient third(server->port());
  EXPECT_EQ(status_of(third.read_all()), 503);
  kept[0]->respond({200, "", "", {}});
  EXPECT_EQ(status_of(first.read_answer()), 200);
  RawClient fourth(server->port());
  fourth.send(get("/health"));
  EXPECT_EQ(status_of(fourth.read_answer()), 200);
  kept[1]->respond({200, "", "", {}});
}

TEST(Connection, SlowHeadsAndIdleSocketsDelayNobody) {
  auto options = test::quick_options();
  options.head_timeout_s = 20;
  const auto server = start_server(test::echo_routes(), {}, options);
  std::vector<RawClient> idle, dripping;
  for (int i = 0; i < 600; ++i) idle.emplace_back(server->port());
  for (int i = 0; i < 80; ++i) {
    dripping.emplace_back(server->port());
    dripping.back().send("GET /hea");
  }
  std::vector<double> seconds;
  for (int i = 0; i < 20; ++i) {
    for (auto& client : dripping) client.send("l");
    const auto start = Clock::now();
    RawClient client(server->port());
    client.send(get("/health"));
    EXPECT_EQ(status_of(client.read_answer()), 200);
    seconds.push_back(seconds_since(start));
  }
  EXPECT_TRUE(test::wait_until([&] { return server->num_connections() == 680; }));
  std::sort(seconds.begin(), seconds.end());
  EXPECT_LT(seconds[10], 0.05);
}

TEST(Connection, GoesOnWithAPipelineThatItHadStoppedReading) {
  std::promise<std::shared_ptr<net::Exchange>> kept;
  Routes routes = test::echo_routes();
  routes.add({"GET", "/hold", true, HandlerThread::kLoop,
              [&](const auto& exchange) { kept.set_value(exchange); }});
  const auto server = start_server(std::move(routes));
  RawClient client(server->port(), 4096);
  client.send(get("/hold"));
  int sent = 0;
  std::thread sender([&] {
    const std::string many = get("/echo/1", "X: " + std::string(1000, 'a') + "\r\n");
    while (sent < 400 && client.send(many)) ++sent;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  kept.get_future().get()->respond({200, "", "held", {}});
  EXPECT_EQ(body_of(client.read_answer()), "held");
  for (int i = 0; i < 400; ++i) ASSERT_EQ(body_of(client.read_answer()), "1?") << i;
  sender.join();
}

}  // namespace
}  // namespace weft
