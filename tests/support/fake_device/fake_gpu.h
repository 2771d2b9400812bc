/// The fake device without LibTorch: its memory, its streams and what is known of their order.
///
/// Works of a stream run in their order on a thread of its own, as late or as early as that comes
/// to run; works of different streams run side by side. A work that touches what another stream
/// wrote, or writes what it reads, must come after a wait: of its stream for an event, or of the
/// host for the other stream. Else it is refused by name when it is given to the device, whatever
/// the threads come to do. What one thread of the host has waited for counts as known to all: how
/// they agree among themselves is the program's affair.
///
/// All functions may be called from any thread, and throw std::logic_error for what a GPU would
/// refuse or do wrong.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include "tests/support/fake_device/access_history.h"
#include "tests/support/fake_device/device_memory.h"
#include "tests/support/fake_device/pinned_memory.h"
#include "tests/support/fake_device/work_queue.h"

namespace weft::test::fake {

/// Memory of the device, or pinned memory, that a work reads or writes.
struct Access {
  const void* begin;
  size_t bytes;
  bool writes;
};

/// What the device is given to do: a kernel, a copy or an operator of LibTorch.
struct Work {
  std::string name;
  std::vector<Access> accesses;
  std::function<void()> run;  ///< on the bytes that FakeGpu::bytes_of gives
};

/// A point in a stream's work.
struct Event {
  StreamId stream;
  Clock clock;  ///< all that is done once the event is
};

struct Graph;

/// What allocate() throws beyond the limit.
struct OutOfDeviceMemory : std::bad_alloc {};

class FakeGpu {
 public:
  static FakeGpu& get();

  /// Memory of the calling thread's current stream; null for 0 bytes. It holds 0xff bytes: NaN, or
  /// -1. While the stream is being captured it is the graphs' own, for ever.
  void* allocate(size_t bytes);
  /// The stream it was allocated on may get it again at once, as from LibTorch's allocator.
  void release(void* address) noexcept;
  /// Lets `release` wait for what `stream` has been given to do so far.
  void record_use(const void* address, StreamId stream);
  size_t live_bytes();  ///< asked for by allocate() and not released
  size_t peak_bytes();  ///< most of live_bytes() since restart_peak()
  void restart_peak();
  /// Bytes that live_bytes() cannot exceed; 0: no limit.
  void set_limit(size_t bytes);
  /// From an address to the end of its storage; 0 if it is in none.
  size_t bytes_from(const void* address);

  void* pin(size_t bytes);
  /// Waits for the copies.
  void unpin(void* address) noexcept;
  bool is_pinned(const void* address);
  /// Where the device finds the bytes of an address: in the shadow, of pinned memory, or there.
  const void* bytes_of(const void* address);

  StreamId current_stream() const;
  /// Makes a stream the calling thread's; gives the one before.
  StreamId exchange_stream(StreamId stream);
  /// One of 32, in turn.
  StreamId next_pool_stream();

  void launch(StreamId stream, Work work);
  /// Runs the work on the calling thread in the stream's turn. The host does not count as having
  /// waited for it: on a GPU it would not.
  void launch_here(StreamId stream, const Work& work);

  /// `who` stands in the message where the wait is refused.
  void synchronize(StreamId stream, const std::string& who);
  void synchronize_all(const std::string& who);
  bool is_done(StreamId stream);

  Event record(StreamId stream, const std::string& who = "recording an event");
  void wait(StreamId stream, const Event& event);
  void synchronize(const Event& event, const std::string& who);
  bool is_done(const Event& event);

  /// From here to end_capture, works of the calling thread's current stream are recorded instead of
  /// run, and whatever waits for the device or pins memory is refused.
  void begin_capture();
  std::shared_ptr<const Graph> end_capture();
  bool is_capturing(StreamId stream);
  /// Throws std::logic_error naming `who` where the stream is being captured.
  void refuse_while_capturing(StreamId stream, const std::string& who);
  void replay(StreamId stream, const Graph& graph);
  int64_t num_replays();

  /// Waits for the works that a stream has, without the host counting as having waited.
  void drain(StreamId stream);

  /// How often the host has waited for the device so far, by what it waited in: an operator's name,
  /// or what `who` was.
  std::map<std::string, int64_t> host_waits();

 private:
  struct Stream;
  struct Touch;

  FakeGpu();
  Stream& stream_of(StreamId stream);
  std::vector<Touch> touches_of(const Work& work);
  void check_order(const Work& work, const std::vector<Touch>& touches, const Stream& stream);
  template <class Enqueue>
  uint64_t start(Stream& stream, const Work& work, Enqueue&& enqueue);
  void host_knows(const Clock& clock);

  std::mutex mutex_;
  DeviceMemory memory_;
  PinnedMemory pinned_;
  std::vector<std::unique_ptr<Stream>> streams_;
  Clock host_;
  int next_pool_stream_ = 0;
  std::map<std::string, int64_t> host_waits_;
  int64_t num_replays_ = 0;
  size_t live_ = 0, peak_ = 0, limit_ = 0;
};

}  // namespace weft::test::fake
