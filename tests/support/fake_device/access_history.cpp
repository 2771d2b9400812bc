#include "tests/support/fake_device/access_history.h"

#include <algorithm>

namespace weft::test::fake {

void Clock::raise(StreamId stream, uint64_t position) {
  if (static_cast<size_t>(stream) >= done_.size()) done_.resize(stream + 1);
  done_[stream] = std::max(done_[stream], position);
}

void Clock::join(const Clock& other) {
  for (size_t s = 0; s < other.done_.size(); ++s) raise(static_cast<StreamId>(s), other.done_[s]);
}

std::optional<AccessHistory::Conflict> AccessHistory::find_conflict(size_t begin, size_t end,
                                                                    bool writes,
                                                                    const Clock& clock) const {
  auto part = parts_.upper_bound(begin);
  if (part != parts_.begin()) --part;
  for (; part != parts_.end() && part->first < end; ++part) {
    const auto& [part_end, writer, readers] = part->second;
    if (part_end <= begin) continue;
    if (writer && !writer->place.known_to(clock)) return Conflict{*writer, true};
    if (!writes) continue;
    for (const Toucher& reader : readers) {
      if (!reader.place.known_to(clock)) return Conflict{reader, false};
    }
  }
  return std::nullopt;
}

// Makes parts begin or end at a byte; gives the first part that begins there or behind.
std::map<size_t, AccessHistory::Part>::iterator AccessHistory::cut(size_t at) {
  const auto next = parts_.lower_bound(at);
  if (next == parts_.begin() || (next != parts_.end() && next->first == at)) return next;
  const auto before = std::prev(next);
  if (before->second.end <= at) return next;
  Part second = before->second;
  before->second.end = at;
  return parts_.emplace_hint(next, at, std::move(second));
}

void AccessHistory::add(size_t begin, size_t end, bool writes, const Toucher& who) {
  auto part = cut(begin);
  cut(end);
  if (writes) {
    while (part != parts_.end() && part->first < end) part = parts_.erase(part);
    parts_.emplace_hint(part, begin, Part{end, who, {}});
    return;
  }
  for (size_t at = begin; at < end;) {
    if (part == parts_.end() || part->first > at) {
      const size_t gap_end = part == parts_.end() ? end : std::min(end, part->first);
      part = parts_.emplace_hint(part, at, Part{gap_end, std::nullopt, {}});
    }
    auto& readers = part->second.readers;
    const auto mine = std::find_if(readers.begin(), readers.end(), [&](const Toucher& reader) {
      return reader.place.stream == who.place.stream;
    });
    mine == readers.end() ? readers.push_back(who) : void(*mine = who);
    at = part->second.end;
    ++part;
  }
}

bool AccessHistory::is_settled(const Clock& clock) const {
  return std::all_of(parts_.begin(), parts_.end(), [&](const auto& entry) {
    const Part& part = entry.second;
    return (!part.writer || part.writer->place.known_to(clock)) &&
           std::all_of(part.readers.begin(), part.readers.end(),
                       [&](const Toucher& reader) { return reader.place.known_to(clock); });
  });
}

void AccessHistory::forget(const Place& last) {
  Clock clock;
  clock.raise(last.stream, last.position);
  for (auto& [begin, part] : parts_) {
    if (part.writer && part.writer->place.known_to(clock)) part.writer.reset();
    std::erase_if(part.readers,
                  [&](const Toucher& reader) { return reader.place.known_to(clock); });
  }
}

}  // namespace weft::test::fake
