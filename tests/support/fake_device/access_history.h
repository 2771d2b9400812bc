/// Who wrote and read which bytes last, and whether that is known to be done: the order of the
/// device's streams as vector clocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weft::test::fake {

using StreamId = int;  ///< 0 is the default stream

/// Of each stream, how many of its works are known to be done.
class Clock {
 public:
  uint64_t of(StreamId stream) const {
    return static_cast<size_t>(stream) < done_.size() ? done_[stream] : 0;
  }
  void raise(StreamId stream, uint64_t position);
  void join(const Clock& other);

 private:
  std::vector<uint64_t> done_;
};

/// A work: the `position`-th of its stream, from 1.
struct Place {
  StreamId stream;
  uint64_t position;

  bool known_to(const Clock& clock) const { return clock.of(stream) >= position; }
};

struct Toucher {
  Place place;
  std::shared_ptr<const std::string> name;
};

/// The last writer of every byte of a storage, and who has read it since.
class AccessHistory {
 public:
  struct Conflict {
    Toucher other;
    bool wrote;  ///< else it read
  };

  /// Who touched bytes [begin, end) in a way that must be over before they are read, or written,
  /// and is not known to be.
  std::optional<Conflict> find_conflict(size_t begin, size_t end, bool writes,
                                        const Clock& clock) const;
  void add(size_t begin, size_t end, bool writes, const Toucher& who);

  bool is_settled(const Clock& clock) const;
  /// Takes everything of a stream up to a work of it for done.
  void forget(const Place& last);
  void clear() { parts_.clear(); }

 private:
  struct Part {
    size_t end;
    std::optional<Toucher> writer;
    std::vector<Toucher> readers;  // the last of each stream
  };
  std::map<size_t, Part>::iterator cut(size_t at);

  std::map<size_t, Part> parts_;  // by their begin, one behind the other
};

}  // namespace weft::test::fake
