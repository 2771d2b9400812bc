#include "model/remote/endpoints.h"

#include <gtest/gtest.h>

#include <map>

namespace weft {
namespace {

using End = Endpoints::End;
using std::chrono::seconds;

const Endpoints::Clock::time_point kStart{};

void fail(Endpoints& endpoints, int endpoint, int times, Endpoints::Clock::time_point now) {
  for (int done = 0; done < times;) {
    const int got = endpoints.acquire(now);
    done += got == endpoint;
    endpoints.release(got, got == endpoint ? End::kFailed : End::kAnswered, now);
  }
}

TEST(Endpoints, TheLeastLoadedTakesTheNextRequest) {
  Endpoints endpoints({"a", "b", "c"}, 2);
  std::map<int, int> taken;
  for (int i = 0; i < 6; ++i) ++taken[endpoints.acquire(kStart)];
  EXPECT_EQ(taken, (std::map<int, int>{{0, 2}, {1, 2}, {2, 2}}));
  EXPECT_FALSE(endpoints.has_room(kStart));
  EXPECT_EQ(endpoints.acquire(kStart), -1);
  endpoints.release(1, End::kAnswered, kStart);
  EXPECT_EQ(endpoints.acquire(kStart), 1);
}

TEST(Endpoints, EqualsTakeTurns) {
  Endpoints endpoints({"a", "b", "c"}, 8);
  std::map<int, int> taken;
  for (int i = 0; i < 9; ++i) {
    const int endpoint = endpoints.acquire(kStart);
    ++taken[endpoint];
    endpoints.release(endpoint, End::kAnswered, kStart);
  }
  EXPECT_EQ(taken, (std::map<int, int>{{0, 3}, {1, 3}, {2, 3}}));
}

TEST(Endpoints, ASecondAttemptGoesElsewhere) {
  Endpoints endpoints({"a", "b"}, 8);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(endpoints.acquire(kStart, /*avoid=*/0), 1);
  Endpoints alone({"a"}, 8);
  EXPECT_EQ(alone.acquire(kStart, /*avoid=*/0), 0);
}

TEST(Endpoints, ASickOneIsLeftAloneThenTriedWithOneRequest) {
  Endpoints endpoints({"a", "b"}, 4);
  fail(endpoints, 0, Endpoints::kSickAfter, kStart);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(endpoints.acquire(kStart), 1);
  EXPECT_EQ(endpoints.acquire(kStart), -1);
  EXPECT_EQ(endpoints.next_room(kStart), kStart + seconds(1));
  const auto later = kStart + seconds(1);
  EXPECT_EQ(endpoints.acquire(later), 0);
  EXPECT_EQ(endpoints.acquire(later), -1);
  EXPECT_FALSE(endpoints.release(0, End::kFailed, later));  // it was sick before
  EXPECT_EQ(endpoints.acquire(later + seconds(1)), -1);
  EXPECT_EQ(endpoints.acquire(later + seconds(2)), 0);
  endpoints.release(0, End::kAnswered, later + seconds(2));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(endpoints.acquire(later + seconds(2)), 0);
}

TEST(Endpoints, TheTimeOutGrowsToAMinute) {
  Endpoints endpoints({"a", "b"}, 1);
  EXPECT_EQ(endpoints.acquire(kStart), 1);
  auto now = kStart;
  fail(endpoints, 0, Endpoints::kSickAfter, now);
  for (const int expected : {1, 2, 4, 8, 16, 32, 60, 60}) {
    EXPECT_EQ(endpoints.time_out(0), seconds(expected));
    EXPECT_EQ(endpoints.next_room(now), now + seconds(expected));
    now += seconds(expected);
    fail(endpoints, 0, 1, now);
  }
}

TEST(Endpoints, ToldToWaitIsNotSick) {
  Endpoints endpoints({"a", "b"}, 1);
  for (int i = 0; i < 10; ++i) {
    const int endpoint = endpoints.acquire(kStart);
    EXPECT_FALSE(endpoints.release(endpoint, End::kUnknown, kStart));
  }
  EXPECT_TRUE(endpoints.has_room(kStart));
}

TEST(Endpoints, EachGetsItsRequestsSpaced) {
  Endpoints endpoints({"a", "b"}, 3, seconds(10));
  EXPECT_EQ(endpoints.acquire(kStart), 1);
  EXPECT_EQ(endpoints.acquire(kStart + seconds(4)), 0);
  EXPECT_FALSE(endpoints.has_room(kStart + seconds(4)));
  EXPECT_EQ(endpoints.acquire(kStart + seconds(4)), -1);
  EXPECT_EQ(endpoints.next_room(kStart + seconds(4)), kStart + seconds(10));
  EXPECT_EQ(endpoints.acquire(kStart + seconds(10)), 1);
  EXPECT_EQ(endpoints.next_room(kStart + seconds(10)), kStart + seconds(14));
}

TEST(Endpoints, ASickOneIsLeftAloneAndSpaced) {
  Endpoints endpoints({"a", "b"}, 1, seconds(10));
  EXPECT_EQ(endpoints.acquire(kStart), 1);
  auto now = kStart;
  for (const int expected : {10, 10, 10, 10, 10, 10, 16, 32}) {
    EXPECT_EQ(endpoints.acquire(now), 0);
    endpoints.release(0, End::kFailed, now);
    EXPECT_EQ(endpoints.next_room(now), now + seconds(expected));
    now = endpoints.next_room(now);
  }
}

TEST(Endpoints, WhereAllAreSickNoneIsLeftAlone) {
  Endpoints endpoints({"a", "b"}, 4);
  fail(endpoints, 0, Endpoints::kSickAfter, kStart);
  for (int i = 0; i < Endpoints::kSickAfter; ++i) {
    EXPECT_EQ(endpoints.acquire(kStart), 1);
    endpoints.release(1, End::kFailed, kStart);
  }
  std::map<int, int> taken;
  for (int i = 0; i < 4; ++i) ++taken[endpoints.acquire(kStart)];
  EXPECT_EQ(taken, (std::map<int, int>{{0, 2}, {1, 2}}));
}

}  // namespace
}  // namespace weft
