#include "tests/support/fake_device/pinned_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>

namespace weft::test::fake {
namespace {

char* map_shared(int file, size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

void protect(const PinnedMemory::Buffer& buffer) {
  const auto writes = [](const auto& work) { return work.writes; };
  const bool written = std::any_of(buffer.in_flight.begin(), buffer.in_flight.end(), writes);
  mprotect(buffer.host, buffer.room,
           written                    ? PROT_NONE
           : buffer.in_flight.empty() ? PROT_READ | PROT_WRITE
                                      : PROT_READ);
}

}  // namespace

PinnedMemory::Buffer& PinnedMemory::allocate(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t room = std::max<size_t>(1, (bytes + page - 1) / page) * page;
  const int file = memfd_create("pinned", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(room)) != 0) throw std::bad_alloc();
  char* const host = map_shared(file, room);
  char* const device = map_shared(file, room);
  ::close(file);
  Buffer& buffer = buffers_[host + room];
  buffer = {host, device, room, {}, {}};
  return buffer;
}

void PinnedMemory::release(const void* address) {
  Buffer* const buffer = find(address);
  std::erase(closed_, buffer);
  munmap(buffer->host, buffer->room);
  munmap(buffer->device, buffer->room);
  buffers_.erase(buffer->host + buffer->room);
}

PinnedMemory::Buffer* PinnedMemory::find(const void* address) {
  const auto* at = static_cast<const char*>(address);
  const auto found = buffers_.upper_bound(at);  // the first that ends behind it
  return found != buffers_.end() && found->second.host <= at ? &found->second : nullptr;
}

void PinnedMemory::close(Buffer& buffer, const Place& place, bool writes) {
  if (buffer.in_flight.empty()) closed_.push_back(&buffer);
  buffer.in_flight.push_back({place, writes});
  protect(buffer);
}

void PinnedMemory::open(const Clock& known) {
  std::erase_if(closed_, [&](Buffer* buffer) {
    const size_t done = std::erase_if(buffer->in_flight,
                                      [&](const auto& work) { return work.place.known_to(known); });
    if (done > 0) protect(*buffer);
    return buffer->in_flight.empty();
  });
}

}  // namespace weft::test::fake
