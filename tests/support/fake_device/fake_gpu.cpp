#include "tests/support/fake_device/fake_gpu.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "tests/support/fake_device/graph.h"

namespace weft::test::fake {
namespace {

constexpr int kPoolStreams = 32;

thread_local StreamId current = 0;

[[noreturn]] void refuse(const std::string& what) {
  throw std::logic_error("fake device: " + what);
}

// Graphs of one thread share their memory, as in libweft_cuda.so; streams' own pools are from 0.
int graph_pool() {
  static std::atomic<int> next{-1};
  thread_local const int pool = next--;
  return pool;
}

}  // namespace

struct FakeGpu::Stream {
  StreamId id;
  Clock clock;  // what is done when its next work begins
  WorkQueue queue;
  std::shared_ptr<Graph> capture;
};

struct FakeGpu::Touch {
  size_t begin, end;
  bool writes;
  AccessHistory* history;
  PinnedMemory::Buffer* pinned;  // null: device memory
  int64_t storage;
  bool of_graphs;  // memory that only they use
};

FakeGpu::FakeGpu() {
  // Works that run while the process ends would find LibTorch's statics gone.
  std::atexit([] {
    FakeGpu& gpu = get();
    for (StreamId s = 0; s <= kPoolStreams; ++s) gpu.drain(s);
  });
}

FakeGpu& FakeGpu::get() {
  static auto* const gpu = new FakeGpu;  // outlives every tensor and thread
  return *gpu;
}

FakeGpu::Stream& FakeGpu::stream_of(StreamId stream) {
  if (stream < 0 || stream > kPoolStreams) refuse("no such stream");
  if (streams_.size() <= static_cast<size_t>(stream)) streams_.resize(stream + 1);
  auto& made = streams_[stream];
  if (!made) made.reset(new Stream{stream, {}, {}, nullptr});
  return *made;
}

StreamId FakeGpu::current_stream() const { return current; }

StreamId FakeGpu::exchange_stream(StreamId stream) { return std::exchange(current, stream); }

StreamId FakeGpu::next_pool_stream() {
  const std::lock_guard lock(mutex_);
  return 1 + next_pool_stream_++ % kPoolStreams;
}

// --- memory ---

void* FakeGpu::allocate(size_t bytes) {
  if (bytes == 0) return nullptr;
  std::unique_lock lock(mutex_);
  if (limit_ > 0 && live_ + bytes > limit_) throw OutOfDeviceMemory();
  live_ += bytes;
  peak_ = std::max(peak_, live_);
  Stream& stream = stream_of(current);
  DeviceMemory::Block& block = memory_.allocate(bytes, stream.capture ? graph_pool() : stream.id);
  for (const Place& use : std::exchange(block.uses, {})) {
    stream_of(use.stream).queue.wait_for(use.position);
    block.history.forget(use);
  }
  if (!stream.capture && block.history.is_settled(host_)) {
    std::memset(shadow(block.begin), 0xff, bytes);
    block.history.clear();
    return block.begin;
  }
  void* const address = block.begin;
  lock.unlock();
  try {
    launch(stream.id, {"an allocation", {{address, bytes, true}}, [address, bytes] {
                         std::memset(shadow(address), 0xff, bytes);
                       }});
  } catch (...) {
    release(address);
    throw;
  }
  return address;
}

void FakeGpu::release(void* address) noexcept {
  const std::lock_guard lock(mutex_);
  DeviceMemory::Block& block = *memory_.find(address);
  live_ -= block.bytes;
  for (const StreamId stream : std::exchange(block.users, {})) {
    block.uses.push_back({stream, stream_of(stream).clock.of(stream)});
  }
  memory_.release(block);
}

void FakeGpu::record_use(const void* address, StreamId stream) {
  const std::lock_guard lock(mutex_);
  DeviceMemory::Block* const block = memory_.find(address);
  if (block && block->pool != stream) block->users.insert(stream);
}

size_t FakeGpu::live_bytes() {
  const std::lock_guard lock(mutex_);
  return live_;
}

size_t FakeGpu::peak_bytes() {
  const std::lock_guard lock(mutex_);
  return peak_;
}

void FakeGpu::restart_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = live_;
}

void FakeGpu::set_limit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

size_t FakeGpu::bytes_from(const void* address) {
  const std::lock_guard lock(mutex_);
  const DeviceMemory::Block* const block = memory_.find(address);
  if (!block || !block->live) return 0;
  return static_cast<size_t>(block->begin + block->bytes - static_cast<const char*>(address));
}

void* FakeGpu::pin(size_t bytes) {
  refuse_while_capturing(current, "pinning memory");
  const std::lock_guard lock(mutex_);
  return pinned_.allocate(bytes).host;
}

void FakeGpu::unpin(void* address) noexcept {
  std::unique_lock lock(mutex_);
  for (const auto& work : pinned_.find(address)->in_flight) {
    stream_of(work.place.stream).queue.wait_for(work.place.position);
  }
  pinned_.release(address);
}

bool FakeGpu::is_pinned(const void* address) {
  const std::lock_guard lock(mutex_);
  return pinned_.find(address) != nullptr;
}

const void* FakeGpu::bytes_of(const void* address) {
  if (is_device_address(address)) return shadow(address);
  const std::lock_guard lock(mutex_);
  const PinnedMemory::Buffer* const buffer = pinned_.find(address);
  return buffer ? buffer->device + (static_cast<const char*>(address) - buffer->host) : address;
}

// --- works ---

std::vector<FakeGpu::Touch> FakeGpu::touches_of(const Work& work) {
  std::vector<Touch> touches;
  for (const auto& [begin, bytes, writes] : work.accesses) {
    if (bytes == 0) continue;
    const std::string does = work.name + (writes ? " writes " : " reads ");
    const auto* at = static_cast<const char*>(begin);
    size_t first = 0, room = 0;
    Touch touch{0, 0, writes, nullptr, nullptr, 0, false};
    if (PinnedMemory::Buffer* const buffer = pinned_.find(begin)) {
      first = static_cast<size_t>(at - buffer->host);
      room = buffer->room;
      touch.history = &buffer->history;
      touch.pinned = buffer;
    } else {
      DeviceMemory::Block* const block = memory_.find(begin);
      if (!block || !(block->live || block->pool < 0)) refuse(does + "memory that is not in use");
      first = static_cast<size_t>(at - block->begin);
      room = block->pool < 0 ? block->room : block->bytes;
      touch.history = &block->history;
      touch.storage = block->number;
      touch.of_graphs = block->pool < 0;
    }
    if (first + bytes > room) {
      refuse(does + std::to_string(bytes) + " bytes from byte " + std::to_string(first) +
             " of a storage of " + std::to_string(room));
    }
    touch.begin = first;
    touch.end = first + bytes;
    touches.push_back(touch);
  }
  return touches;
}

void FakeGpu::check_order(const Work& work, const std::vector<Touch>& touches,
                          const Stream& stream) {
  for (const Touch& touch : touches) {
    const auto conflict =
        touch.history->find_conflict(touch.begin, touch.end, touch.writes, stream.clock);
    if (!conflict) continue;
    const Toucher& other = conflict->other;
    refuse(work.name + " on stream " + std::to_string(stream.id) +
           (touch.writes ? " overwrites " : " reads ") +
           (touch.pinned ? "pinned memory" : "storage " + std::to_string(touch.storage)) +
           " that " + *other.name + " on stream " + std::to_string(other.place.stream) +
           (conflict->wrote ? " writes" : " reads") + ", without a wait in between");
  }
}

// Gives the work a place, which `enqueue` takes in the stream's queue.
template <class Enqueue>
uint64_t FakeGpu::start(Stream& stream, const Work& work, Enqueue&& enqueue) {
  const std::vector<Touch> touches = touches_of(work);
  stream.clock.join(host_);
  check_order(work, touches, stream);
  const Toucher who{{stream.id, stream.clock.of(stream.id) + 1},
                    std::make_shared<const std::string>(work.name)};
  for (const bool writes : {false, true}) {
    for (const Touch& touch : touches) {
      if (touch.writes != writes) continue;
      touch.history->add(touch.begin, touch.end, writes, who);
      if (touch.pinned) pinned_.close(*touch.pinned, who.place, writes);
    }
  }
  stream.clock.raise(stream.id, who.place.position);
  enqueue();
  return who.place.position;
}

void FakeGpu::launch(StreamId id, Work work) {
  const std::lock_guard lock(mutex_);
  Stream& stream = stream_of(id);
  if (stream.capture) {
    const std::vector<Touch> touches = touches_of(work);
    std::vector<int64_t> storages;
    for (const Touch& touch : touches) storages.push_back(touch.storage);
    stream.capture->nodes.push_back({std::move(work), std::move(storages)});
    return;
  }
  start(stream, work, [&] { stream.queue.push(std::move(work.run)); });
}

void FakeGpu::launch_here(StreamId id, const Work& work) {
  refuse_while_capturing(id, work.name);
  std::unique_lock lock(mutex_);
  Stream& stream = stream_of(id);
  const uint64_t place = start(stream, work, [&] { stream.queue.reserve(); });
  lock.unlock();
  stream.queue.take_turn(place, work.run);
}

void FakeGpu::drain(StreamId id) {
  std::unique_lock lock(mutex_);
  Stream& stream = stream_of(id);
  const uint64_t last = stream.clock.of(id);
  lock.unlock();
  stream.queue.wait_for(last);
}

// --- waiting ---

std::map<std::string, int64_t> FakeGpu::host_waits() {
  const std::lock_guard lock(mutex_);
  return host_waits_;
}

void FakeGpu::host_knows(const Clock& clock) {
  const std::lock_guard lock(mutex_);
  host_.join(clock);
  pinned_.open(host_);
}

void FakeGpu::refuse_while_capturing(StreamId id, const std::string& who) {
  const std::lock_guard lock(mutex_);
  if (stream_of(id).capture) {
    refuse(who + " is not possible while stream " + std::to_string(id) + " is being captured");
  }
}

void FakeGpu::synchronize(StreamId id, const std::string& who) {
  synchronize(record(id, who), who);
}

void FakeGpu::synchronize_all(const std::string& who) {
  std::vector<Event> ends;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& stream : streams_) {
      if (stream) ends.push_back({stream->id, stream->clock});
    }
  }
  for (const Event& end : ends) refuse_while_capturing(end.stream, who);
  for (const Event& end : ends) synchronize(end, who);
}

bool FakeGpu::is_done(StreamId id) { return is_done(record(id, "asking for a stream's end")); }

Event FakeGpu::record(StreamId id, const std::string& who) {
  refuse_while_capturing(id, who);
  const std::lock_guard lock(mutex_);
  return {id, stream_of(id).clock};
}

void FakeGpu::wait(StreamId id, const Event& event) {
  refuse_while_capturing(id, "waiting for an event");
  const std::lock_guard lock(mutex_);
  Stream& stream = stream_of(id);
  WorkQueue& other = stream_of(event.stream).queue;
  stream.clock.join(event.clock);
  if (event.stream == id) return;
  const uint64_t place =
      stream.queue.push([&other, last = event.clock.of(event.stream)] { other.wait_for(last); });
  stream.clock.raise(id, place);
}

void FakeGpu::synchronize(const Event& event, const std::string& who) {
  refuse_while_capturing(current, who);
  std::unique_lock lock(mutex_);
  WorkQueue& queue = stream_of(event.stream).queue;
  lock.unlock();
  queue.wait_for(event.clock.of(event.stream));
  host_knows(event.clock);
  lock.lock();
  ++host_waits_[who];
  lock.unlock();
  queue.rethrow();
}

bool FakeGpu::is_done(const Event& event) {
  std::unique_lock lock(mutex_);
  WorkQueue& queue = stream_of(event.stream).queue;
  lock.unlock();
  if (!queue.is_done(event.clock.of(event.stream))) return false;
  host_knows(event.clock);
  return true;
}

// --- graphs ---

void FakeGpu::begin_capture() {
  if (current == 0) refuse("the default stream cannot be captured");
  refuse_while_capturing(current, "another capture");
  const std::lock_guard lock(mutex_);
  stream_of(current).capture = std::make_shared<Graph>();
}

std::shared_ptr<const Graph> FakeGpu::end_capture() {
  const std::lock_guard lock(mutex_);
  return std::exchange(stream_of(current).capture, nullptr);
}

bool FakeGpu::is_capturing(StreamId id) {
  const std::lock_guard lock(mutex_);
  return stream_of(id).capture != nullptr;
}

void FakeGpu::replay(StreamId id, const Graph& graph) {
  refuse_while_capturing(id, "replaying a graph");
  const std::lock_guard lock(mutex_);
  Stream& stream = stream_of(id);
  for (const Graph::Node& node : graph.nodes) {
    const std::vector<Touch> touches = touches_of(node.work);
    for (size_t i = 0; i < touches.size(); ++i) {
      if (!touches[i].of_graphs && touches[i].storage != node.storages[i]) {
        refuse(node.work.name + " of a graph uses memory that was freed after the capture");
      }
    }
    start(stream, node.work, [&] { stream.queue.push(node.work.run); });
  }
  ++num_replays_;
}

int64_t FakeGpu::num_replays() {
  const std::lock_guard lock(mutex_);
  return num_replays_;
}

}  // namespace weft::test::fake
