// Each guard of the fake device is shown to fire, and to let an honest twin pass.
#include "tests/support/fake_device/fake_gpu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <future>
#include <stdexcept>

#include "tests/support/fake_device/graph.h"

namespace weft::test::fake {
namespace {

using testing::AllOf;
using testing::HasSubstr;

FakeGpu& gpu() { return FakeGpu::get(); }

/// Sanitizers turn the signal into an exit of their own.
#ifdef WEFT_SANITIZED
#define EXPECT_SEGV(statement) EXPECT_DEATH(statement, "")
#else
#define EXPECT_SEGV(statement) EXPECT_EXIT(statement, testing::KilledBySignal(SIGSEGV), "")
#endif

/// What a call is refused with; empty where it is not.
template <class F>
std::string refusal(F&& call) {
  try {
    call();
    return "";
  } catch (const std::logic_error& error) {
    return error.what();
  }
}

/// Memory of the current stream.
class Storage {
 public:
  explicit Storage(size_t count = 64) : bytes_(count * sizeof(int)) {
    data_ = static_cast<int*>(gpu().allocate(bytes_));
  }
  ~Storage() { gpu().release(data_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  int* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  int* shadow() const { return fake::shadow(data_); }
  Access read() const { return {data_, bytes_, false}; }
  Access written() const { return {data_, bytes_, true}; }

 private:
  size_t bytes_;
  int* data_;
};

Work work(
    const char* name, std::vector<Access> accesses, std::function<void()> run = [] {}) {
  return {name, std::move(accesses), std::move(run)};
}

/// A test's streams; all works are done at its end. What a work holds by reference of the test
/// itself needs a wait in the test: the end comes after its locals are gone.
class FakeGpuStreams : public testing::Test {
 protected:
  const StreamId first = gpu().next_pool_stream();
  const StreamId second = gpu().next_pool_stream();
  const StreamId third = gpu().next_pool_stream();
  const StreamId before = gpu().exchange_stream(first);

  void TearDown() override {
    gpu().synchronize_all("the test's end");
    gpu().exchange_stream(before);
  }
};

TEST_F(FakeGpuStreams, HostAccessToDeviceMemoryDies) {
  const Storage storage;
  volatile int* device = storage.data();
  EXPECT_SEGV(static_cast<void>(*device));
  EXPECT_SEGV(*device = 1);
  *storage.shadow() = 1;  // as a kernel does
}

TEST_F(FakeGpuStreams, AddressesOfTheHostAreNotTranslated) {
  int here = 0;
  EXPECT_THAT(refusal([&] { shadow(&here); }), HasSubstr("address of the host"));
  EXPECT_EQ(shadow<int>(nullptr), nullptr);
}

TEST_F(FakeGpuStreams, FreshMemoryHoldsWhatIsNoNumber) {
  for (int again = 0; again < 2; ++again) {
    Storage storage;
    gpu().synchronize(first, "test");
    EXPECT_EQ(storage.shadow()[63], -1);
    gpu().launch(first, work("kernel", {storage.written()}, [&] { storage.shadow()[63] = 0; }));
    gpu().synchronize(first, "test");
  }
}

TEST_F(FakeGpuStreams, WorksRunInOrderWhileTheHostGoesOn) {
  const Storage storage;
  std::promise<void> host_went_on;
  gpu().launch(first,
               work("waits", {storage.written()}, [&] { host_went_on.get_future().wait(); }));
  std::vector<int> order;
  for (const int i : {1, 2, 3})
    gpu().launch(first, work("notes", {}, [&order, i] { order.push_back(i); }));
  EXPECT_FALSE(gpu().is_done(first));
  host_went_on.set_value();
  gpu().synchronize(first, "test");
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
  EXPECT_TRUE(gpu().is_done(first));
}

TEST_F(FakeGpuStreams, WorkOnTheHostsThreadTakesItsTurn) {
  std::vector<int> order;
  gpu().launch(first, work("notes", {}, [&] { order.push_back(1); }));
  gpu().launch_here(first, work("notes", {}, [&] { order.push_back(2); }));
  gpu().launch(first, work("notes", {}, [&] { order.push_back(3); }));
  gpu().synchronize(first, "test");
  EXPECT_EQ(order, (std::vector{1, 2, 3}));
}

TEST_F(FakeGpuStreams, ReadingWhatAnotherStreamWritesNeedsAWait) {
  const Storage storage;
  gpu().launch(first, work("producer", {storage.written()}));
  const auto consumer = [&] { gpu().launch(second, work("consumer", {storage.read()})); };
  EXPECT_THAT(refusal(consumer),
              AllOf(HasSubstr("consumer on stream " + std::to_string(second) + " reads storage "),
                    HasSubstr("producer on stream " + std::to_string(first) + " writes")));
  gpu().wait(second, gpu().record(first));
  EXPECT_EQ(refusal(consumer), "");
}

TEST_F(FakeGpuStreams, OverwritingWhatAnotherStreamReadsNeedsAWait) {
  const Storage storage;
  gpu().launch(first, work("reader", {storage.read()}));
  const auto writer = [&] { gpu().launch(second, work("writer", {storage.written()})); };
  EXPECT_THAT(
      refusal(writer),
      AllOf(HasSubstr("writer on stream " + std::to_string(second) + " overwrites storage "),
            HasSubstr("reader on stream " + std::to_string(first) + " reads")));
  gpu().synchronize(first, "test");
  EXPECT_EQ(refusal(writer), "");
}

TEST_F(FakeGpuStreams, TwoStreamsMayReadAndMayWriteApart) {
  const Storage storage;
  gpu().launch(first, work("reader", {storage.read()}));
  gpu().launch(second, work("reader", {storage.read()}));
  gpu().synchronize_all("test");
  const size_t half = storage.bytes() / 2;
  gpu().launch(first, work("writer", {{storage.data(), half, true}}));
  gpu().launch(second, work("writer", {{storage.data() + half / sizeof(int), half, true}}));
  EXPECT_NE(refusal([&] {
              gpu().launch(second, work("writer", {{storage.data(), half + 4, true}}));
            }),
            "");
}

TEST_F(FakeGpuStreams, WaitingForAStreamWaitsForWhatItWaitedFor) {
  const Storage storage;
  gpu().launch(first, work("producer", {storage.written()}));
  gpu().wait(second, gpu().record(first));
  gpu().wait(third, gpu().record(second));
  EXPECT_EQ(refusal([&] { gpu().launch(third, work("consumer", {storage.read()})); }), "");
}

TEST_F(FakeGpuStreams, AnEventCoversWhatCameBeforeIt) {
  const Storage storage;
  const Event early = gpu().record(first);
  gpu().launch(first, work("producer", {storage.written()}));
  gpu().wait(second, early);
  EXPECT_NE(refusal([&] { gpu().launch(second, work("consumer", {storage.read()})); }), "");
}

TEST_F(FakeGpuStreams, AStreamStandsStillUntilTheEventItWaitsFor) {
  std::promise<void> go;
  std::atomic<bool> produced = false, seen = false;
  gpu().launch(first, work("producer", {}, [&] {
                 go.get_future().wait();
                 produced = true;
               }));
  gpu().wait(second, gpu().record(first));
  gpu().launch(second, work("consumer", {}, [&] { seen = produced.load(); }));
  go.set_value();
  gpu().synchronize(second, "test");
  EXPECT_TRUE(seen);
}

TEST_F(FakeGpuStreams, MemoryUsedElsewhereIsNotHandedOutAgainWithoutAWait) {
  const auto use_and_release = [&](auto&& protect) {
    const Storage storage(1000);
    gpu().launch(second, work("slow_reader", {storage.read()}));
    protect(storage);
  };
  const auto take_again = [] { const Storage next(1000); };
  use_and_release([](const Storage&) {});
  EXPECT_THAT(refusal(take_again),
              AllOf(HasSubstr("an allocation on stream"), HasSubstr("slow_reader on stream")));
  gpu().synchronize(second, "test");
  EXPECT_EQ(refusal(take_again), "");
  use_and_release([&](const Storage& storage) { gpu().record_use(storage.data(), second); });
  EXPECT_EQ(refusal(take_again), "");
  use_and_release([&](const Storage&) { gpu().wait(first, gpu().record(second)); });
  EXPECT_EQ(refusal(take_again), "");
}

TEST_F(FakeGpuStreams, WorkStaysWithinLiveStorages) {
  int* freed = nullptr;
  {
    const Storage storage;
    freed = storage.data();
    EXPECT_THAT(
        refusal([&] {
          gpu().launch(first, work("kernel", {{storage.data() + 1, storage.bytes(), false}}));
        }),
        HasSubstr("kernel reads 256 bytes from byte 4 of a storage of 256"));
  }
  EXPECT_THAT(refusal([&] {
                gpu().launch(first, work("kernel", {{freed, 4, true}}));
              }),
              HasSubstr("kernel writes memory that is not in use"));
  int here = 0;
  EXPECT_NE(refusal([&] { gpu().launch(first, work("kernel", {{&here, 4, false}})); }), "");
}

TEST_F(FakeGpuStreams, WhatAWorkThrowsComesWithTheNextWait) {
  gpu().launch(first, work("breaks", {}, [] { throw std::runtime_error("broken"); }));
  EXPECT_THROW(gpu().synchronize(first, "test"), std::runtime_error);
  EXPECT_NO_THROW(gpu().synchronize(first, "test"));
  EXPECT_THROW(gpu().launch_here(first, work("breaks", {}, [] { throw std::runtime_error("b"); })),
               std::runtime_error);
}

/// Copies between pinned memory and a storage.
class FakeGpuCopies : public FakeGpuStreams {
 protected:
  const Storage storage;
  int* const pinned = static_cast<int*>(gpu().pin(storage.bytes()));

  ~FakeGpuCopies() override { gpu().unpin(pinned); }

  void copy(const void* from, void* to) {
    gpu().launch(first, work("copy", {{from, 256, false}, {to, 256, true}},
                             [target = const_cast<void*>(gpu().bytes_of(to)),
                              source = gpu().bytes_of(from)] { memcpy(target, source, 256); }));
  }
};

TEST_F(FakeGpuCopies, CarryBytesBothWays) {
  for (int i = 0; i < 64; ++i) pinned[i] = i;
  copy(pinned, storage.data());
  gpu().synchronize(first, "test");
  pinned[63] = 0;
  copy(storage.data(), pinned);
  gpu().synchronize(first, "test");
  EXPECT_EQ(pinned[63], 63);
}

TEST_F(FakeGpuCopies, PinnedMemoryIsClosedUntilTheHostHasWaited) {
  volatile int* here = pinned;
  copy(pinned, storage.data());
  EXPECT_EQ(*here, 0);  // the device reads it, too
  EXPECT_SEGV(*here = 1);
  copy(storage.data(), pinned);
  gpu().drain(first);
  EXPECT_SEGV(static_cast<void>(*here));
  gpu().synchronize(first, "test");
  *here = 1;
  EXPECT_EQ(*here, 1);
}

TEST_F(FakeGpuCopies, WaitingForAnEventOpensWhatCameBeforeIt) {
  copy(storage.data(), pinned);
  const Event copied = gpu().record(first);
  std::promise<void> go;
  gpu().launch(first, work("later", {}, [&] { go.get_future().wait(); }));
  gpu().synchronize(copied, "test");
  pinned[0] = 1;
  go.set_value();
  gpu().synchronize(first, "test");  // the work holds what is on this stack
}

/// A stream that is being captured.
class FakeGpuCapture : public FakeGpuStreams {};

TEST_F(FakeGpuCapture, RecordsWorksAndReplayRunsThem) {
  const Storage storage;
  int runs = 0;
  gpu().begin_capture();
  gpu().launch(first, work("kernel", {storage.written()}, [&] { ++runs; }));
  const auto graph = gpu().end_capture();
  gpu().synchronize(first, "test");
  EXPECT_EQ(runs, 0);
  for (int i = 0; i < 3; ++i) gpu().replay(first, *graph);
  gpu().synchronize(first, "test");
  EXPECT_EQ(runs, 3);
}

TEST_F(FakeGpuCapture, RefusesToWaitAndToPin) {
  const Event done = gpu().record(second);
  gpu().begin_capture();
  const std::string text = "not possible while stream " + std::to_string(first);
  EXPECT_THAT(refusal([&] { gpu().synchronize(first, "reading a result"); }),
              AllOf(HasSubstr("reading a result"), HasSubstr(text)));
  EXPECT_THAT(refusal([&] { gpu().synchronize(done, "test"); }), HasSubstr(text));
  EXPECT_THAT(refusal([&] { gpu().synchronize_all("test"); }), HasSubstr(text));
  EXPECT_THAT(refusal([&] { gpu().launch_here(first, work("operator", {})); }), HasSubstr(text));
  EXPECT_THAT(refusal([&] { gpu().pin(1); }), AllOf(HasSubstr("pinning memory"), HasSubstr(text)));
  EXPECT_THAT(refusal([&] { gpu().record(first); }), HasSubstr(text));
  EXPECT_THAT(refusal([&] { gpu().wait(first, done); }), HasSubstr(text));
  EXPECT_THAT(refusal([&] { gpu().begin_capture(); }), HasSubstr(text));
  gpu().end_capture();
  EXPECT_EQ(refusal([&] { gpu().synchronize(first, "test"); }), "");
  gpu().unpin(gpu().pin(1));
}

TEST_F(FakeGpuCapture, IsRefusedOnTheDefaultStream) {
  gpu().exchange_stream(0);
  EXPECT_THAT(refusal([] { gpu().begin_capture(); }), HasSubstr("default stream"));
  gpu().exchange_stream(first);
}

TEST_F(FakeGpuCapture, KeepsItsOwnMemoryAndMissesWhatOthersFree) {
  const auto capture = [&](auto&& body) {
    gpu().begin_capture();
    body();
    return gpu().end_capture();
  };
  const auto with_own = capture([&] {
    const Storage temporary;
    gpu().launch(first, work("kernel", {temporary.written()}));
  });
  const Storage elsewhere;  // takes none of the graph's memory
  EXPECT_EQ(refusal([&] { gpu().replay(first, *with_own); }), "");

  auto lost = std::make_unique<Storage>();
  const auto without = capture([&] { gpu().launch(first, work("kernel", {lost->written()})); });
  EXPECT_EQ(refusal([&] { gpu().replay(first, *without); }), "");
  lost.reset();
  EXPECT_THAT(refusal([&] { gpu().replay(first, *without); }), HasSubstr("kernel"));
  const Storage in_its_place;
  EXPECT_THAT(refusal([&] { gpu().replay(first, *without); }),
              HasSubstr("freed after the capture"));
}

TEST_F(FakeGpuCapture, ReplayMindsOtherStreams) {
  const Storage storage;
  gpu().begin_capture();
  gpu().launch(first, work("kernel", {storage.written()}));
  const auto graph = gpu().end_capture();
  gpu().synchronize(first, "test");
  gpu().launch(second, work("reader", {storage.read()}));
  EXPECT_THAT(refusal([&] { gpu().replay(first, *graph); }), HasSubstr("reader on stream"));
  gpu().wait(first, gpu().record(second));
  EXPECT_EQ(refusal([&] { gpu().replay(first, *graph); }), "");
}

}  // namespace
}  // namespace weft::test::fake
