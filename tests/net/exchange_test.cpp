// Streams, cancelling and backpressure.
#include "net/exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>

#include "net/exchange_state.h"
#include "tests/net/support.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using net::Exchange;
using net::HandlerThread;
using net::Response;
using net::Routes;
using net::Sent;
using test::body_of;
using test::dechunked;
using test::get;
using test::RawClient;
using test::status_of;
using ::testing::HasSubstr;
using ::testing::Not;

const Response kEvents = {200, "text/event-stream", "", {}};

/// A server whose GET /take hands its exchange to the test.
class ExchangeTest : public ::testing::Test {
 protected:
  void start(net::ServerOptions options = test::quick_options(), net::Hooks hooks = {}) {
    Routes routes = test::echo_routes();
    routes.add({"GET", "/take", true, HandlerThread::kLoop, [this](const auto& exchange) {
                  const std::lock_guard lock(mutex_);
                  taken_ = exchange;
                }});
    server_ = test::start_server(std::move(routes), std::move(hooks), options);
  }

  std::shared_ptr<Exchange> take(RawClient& client, const std::string& bytes = get("/take")) {
    client.send(bytes);
    std::shared_ptr<Exchange> exchange;
    EXPECT_TRUE(test::wait_until([&] {
      const std::lock_guard lock(mutex_);
      exchange = std::move(taken_);
      return exchange != nullptr;
    }));
    return exchange;
  }

  std::mutex mutex_;
  std::shared_ptr<Exchange> taken_;
  std::unique_ptr<net::Server> server_;
};

TEST_F(ExchangeTest, StreamsInChunksAndKeepsTheConnection) {
  start();
  RawClient client(server_->port());
  for (int round = 0; round < 2; ++round) {
    const auto exchange = take(client);
    exchange->begin(kEvents);
    const std::string head = client.read_until("\r\n\r\n");
    EXPECT_THAT(head, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(head, HasSubstr("X-Accel-Buffering: no\r\n"));
    EXPECT_THAT(head, HasSubstr("Cache-Control: no-cache\r\n"));
    EXPECT_THAT(head, Not(HasSubstr("Content-Length")));
    EXPECT_EQ(exchange->write("data: 1\n\n"), Sent::kQueued);
    EXPECT_EQ(client.read_until("\n\n\r\n"), "9\r\ndata: 1\n\n\r\n");
    std::thread other([&] {
      exchange->write("data: 2\n\n");
      exchange->finish();
    });
    EXPECT_EQ(dechunked(client.read_until("0\r\n\r\n")), "data: 2\n\n");
    other.join();
  }
}

TEST_F(ExchangeTest, AStreamsFirstPieceMayComeWithItsHead) {
  start();
  RawClient client(server_->port());
  const auto exchange = take(client);
  exchange->begin({200, "text/plain", "first", {}});
  exchange->finish();
  const std::string answer = client.read_until("0\r\n\r\n");
  EXPECT_THAT(answer, Not(HasSubstr("X-Accel-Buffering")));
  EXPECT_EQ(dechunked(body_of(answer)), "first");
}

TEST_F(ExchangeTest, Http10GetsAStreamUntilTheConnectionEnds) {
  start();
  RawClient client(server_->port());
  const auto exchange = take(client, "GET /take HTTP/1.0\r\n\r\n");
  exchange->begin({200, "text/plain", "a", {}});
  exchange->write("b");
  exchange->finish();
  const std::string answer = client.read_all();
  EXPECT_THAT(answer, Not(HasSubstr("chunked")));
  EXPECT_EQ(body_of(answer), "ab");
}

TEST_F(ExchangeTest, HeadOfAStreamHasNoBody) {
  start();
  RawClient client(server_->port());
  const auto exchange = take(client, "HEAD /take HTTP/1.1\r\nHost: a\r\n\r\n");
  exchange->begin({200, "text/plain", "a", {}});
  exchange->write("b");
  exchange->finish();
  client.read_until("\r\n\r\n");
  client.send(get("/health"));
  EXPECT_EQ(body_of(client.read_answer()), "ok");
}

TEST_F(ExchangeTest, ASilentEventStreamHasHeartbeats) {
  auto options = test::quick_options();
  options.heartbeat_s = 0.05;
  start(options);
  RawClient client(server_->port());
  const auto exchange = take(client);
  exchange->begin(kEvents);
  client.read_until("\r\n\r\n");
  for (int i = 0; i < 2; ++i) EXPECT_THAT(client.read_until("\n\n\r\n"), HasSubstr("\r\n: "));
  exchange->write("data: 1\n\n");
  exchange->finish();
  EXPECT_THAT(client.read_until("0\r\n\r\n"), HasSubstr("data: 1\n\n"));
}

TEST_F(ExchangeTest, OtherStreamsHaveNoHeartbeats) {
  auto options = test::quick_options();
  options.heartbeat_s = 0.02;
  start(options);
  RawClient client(server_->port());
  const auto exchange = take(client);
  exchange->begin({200, "text/plain", "", {}});
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  exchange->finish();
  EXPECT_EQ(dechunked(body_of(client.read_until("0\r\n\r\n"))), "");
}

TEST_F(ExchangeTest, AClientThatLeavesCancels) {
  std::atomic<int> cut{0};
  net::Hooks hooks;
  hooks.on_end = [&](const net::Request&, const net::Ended& ended) { cut += ended.cut; };
  start(test::quick_options(), hooks);
  for (const bool streaming : {false, true}) {
    std::atomic<int> cancelled{0};
    std::shared_ptr<Exchange> exchange;
    {
      RawClient client(server_->port());
      exchange = take(client);
      exchange->on_cancel([&] { ++cancelled; });
      if (streaming) {
        exchange->begin(kEvents);
        exchange->write("data: 1\n\n");
        client.read_until("data: 1\n\n");
      }
      EXPECT_FALSE(exchange->cancelled());
    }
    ASSERT_TRUE(test::wait_until([&] { return cancelled == 1; }));
    EXPECT_TRUE(exchange->cancelled());
    if (streaming) {
      EXPECT_EQ(exchange->write("data: 2\n\n"), Sent::kGone);
      EXPECT_FALSE(exchange->wait_for_room());
      exchange->finish();
    } else {
      exchange->respond({200, "", "", {}});
    }
    exchange->on_cancel([&] { ++cancelled; });
    EXPECT_EQ(cancelled, 2) << "told at once where it is known";
  }
  EXPECT_TRUE(test::wait_until([&] { return cut == 2 && server_->num_connections() == 0; }));
}

TEST_F(ExchangeTest, AClientThatEndsItsSendingSideHasLeft) {
  start();
  RawClient client(server_->port());
  const auto exchange = take(client);
  client.end_sending();
  EXPECT_TRUE(test::wait_until([&] { return exchange->cancelled(); }));
}

TEST_F(ExchangeTest, AFinishedAnswerIsNotCancelled) {
  start();
  std::atomic<int> cancelled{0};
  std::shared_ptr<Exchange> exchange;
  {
    RawClient client(server_->port());
    exchange = take(client);
    exchange->on_cancel([&] { ++cancelled; });
    exchange->respond({200, "", "", {}});
    client.read_answer();
  }
  EXPECT_TRUE(test::wait_until([&] { return server_->num_connections() == 0; }));
  EXPECT_EQ(cancelled, 0);
  EXPECT_FALSE(exchange->cancelled());
}

TEST_F(ExchangeTest, AStalledClientFillsTheQueueAndThenIsCutOff) {
  auto options = test::quick_options();
  options.write_timeout_s = 0.2;
  start(options);
  RawClient client(server_->port(), 4096);
  const auto exchange = take(client);
  std::atomic<int> cancelled{0};
  exchange->on_cancel([&] { ++cancelled; });
  exchange->begin(kEvents);
  const std::string text(100000, 'a');
  const int64_t most = 64 << 20;
  int64_t taken = 0;
  bool was_full = false;
  do {  // what the kernel buffers leaves room once more
    Sent sent = Sent::kQueued;
    while (taken < most && (sent = exchange->write(text)) == Sent::kQueued) {
      taken += static_cast<int64_t>(text.size());
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    was_full = was_full || sent == Sent::kFull;
  } while (taken < most && exchange->wait_for_room());
  EXPECT_TRUE(was_full);
  EXPECT_LT(taken, most);
  EXPECT_TRUE(test::wait_until([&] { return cancelled == 1; }));
  EXPECT_EQ(exchange->write(text), Sent::kGone);
}

TEST_F(ExchangeTest, AWriterThatWaitsForRoomGetsEverythingThrough) {
  auto options = test::quick_options();
  options.max_stream_bytes = 1000;
  start(options);
  RawClient client(server_->port(), 4096);
  const auto exchange = take(client);
  exchange->begin({200, "text/plain", "", {}});
  EXPECT_EQ(exchange->write(std::string(1000000, 'b')), Sent::kQueued) << "one piece of any size";
  std::thread writer([&] {
    for (int i = 0; i < 500; ++i) {
      while (exchange->write(std::string(600, 'a')) == Sent::kFull) {
        if (!exchange->wait_for_room(600)) return;
      }
    }
    exchange->finish();
  });
  const std::string body = dechunked(body_of(client.read_until("\r\n0\r\n\r\n")));
  writer.join();
  EXPECT_EQ(body, std::string(1000000, 'b') + std::string(300000, 'a'));
}

TEST(ExchangeState, RoomIsWaitedForUntilThePieceFits) {
  net::ExchangeState state({}, 1000, [] {});
  state.begin({200, "text/plain", "", {}});
  state.take();
  ASSERT_EQ(state.write(std::string(450, 'a')), Sent::kQueued);
  ASSERT_EQ(state.write(std::string(600, 'b')), Sent::kFull);
  EXPECT_TRUE(state.wait_for_room(550));
  auto room = std::async(std::launch::async, [&] { return state.wait_for_room(600); });
  EXPECT_EQ(room.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  state.take();
  EXPECT_TRUE(room.get());
  EXPECT_EQ(state.write(std::string(600, 'b')), Sent::kQueued);
}

TEST(ExchangeState, HoldsAsMuchAsItMayAndOnePieceOfAnySize) {
  int woken = 0;
  net::ExchangeState state(net::Request{}, 10, [&] { ++woken; });
  state.begin(kEvents);
  EXPECT_EQ(state.write("01234"), Sent::kQueued);
  EXPECT_EQ(state.write("56789"), Sent::kQueued);
  EXPECT_EQ(state.write("a"), Sent::kFull);
  EXPECT_EQ(woken, 1) << "until it is taken";
  EXPECT_EQ(state.take().text, "0123456789");
  EXPECT_EQ(state.write(std::string(11, 'b')), Sent::kQueued);
  EXPECT_EQ(state.write("c"), Sent::kFull);
  EXPECT_EQ(woken, 2);
  state.finish();
  EXPECT_TRUE(state.take().finished);
}

TEST_F(ExchangeTest, AStalledClientOfAWholeAnswerIsCutOff) {
  auto options = test::quick_options();
  options.write_timeout_s = 0.1;
  start(options);
  RawClient client(server_->port(), 4096);
  take(client)->respond({200, "", std::string(16 << 20, 'a'), {}});
  EXPECT_TRUE(test::wait_until([&] { return server_->num_connections() == 0; }, 5));
}

TEST_F(ExchangeTest, WhatNobodyAnswersIsAnsweredWith500) {
  start();
  RawClient client(server_->port());
  take(client).reset();
  EXPECT_EQ(status_of(client.read_answer()), 500);
}

TEST_F(ExchangeTest, AStreamThatNobodyFinishesIsCutOff) {
  start();
  RawClient client(server_->port());
  auto exchange = take(client);
  exchange->begin({200, "text/plain", "part", {}});
  EXPECT_THAT(client.read_until("part\r\n"), HasSubstr("part"));
  exchange.reset();
  EXPECT_EQ(client.read_all(), "");
}

TEST_F(ExchangeTest, ASecondAnswerIsACallersMistake) {
  start();
  RawClient client(server_->port());
  const auto exchange = take(client);
  EXPECT_THROW(exchange->write("x"), std::logic_error);
  EXPECT_THROW(exchange->finish(), std::logic_error);
  exchange->respond({200, "", "", {}});
  EXPECT_THROW(exchange->respond({200, "", "", {}}), std::logic_error);
  EXPECT_THROW(exchange->begin(kEvents), std::logic_error);
  EXPECT_EQ(status_of(client.read_answer()), 200);
}

TEST_F(ExchangeTest, OutlivesItsServer) {
  start();
  RawClient client(server_->port());
  const auto exchange = take(client);
  exchange->begin(kEvents);
  server_.reset();
  EXPECT_EQ(exchange->write("data: 1\n\n"), Sent::kGone);
  exchange->finish();
}

}  // namespace
}  // namespace weft
