#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "trainer/evaluate/cached_model.h"

namespace weft {

namespace {

constexpr size_t kSumDigits = 16;

/// The JSON of a whole line; null of any other.
Json parse_line(const std::string& line) {
  if (line.size() < kSumDigits + 1 || line[kSumDigits] != ' ') return nullptr;
  const std::string_view body = std::string_view(line).substr(kSumDigits + 1);
  if (line.substr(0, kSumDigits) != hex64(hash64(body))) return nullptr;
  const Json json = parse_json(body, "a kept reply");
  return json.contains("key") && json["key"].is_string() && json.contains("reply") ? json : Json();
}

}  // namespace

ReplyCache::ReplyCache(const fs::path& folder) : name_((folder / "replies.log").string()) {
  std::error_code error;
  fs::create_directories(folder, error);
  fd_ = open(name_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) throw InputError(with_errno("cache: cannot open " + name_));
  try {
    read_index();
  } catch (...) {
    close(fd_);
    throw;
  }
}

ReplyCache::~ReplyCache() { close(fd_); }

void ReplyCache::read_index() {
  int64_t damaged = 0, offset = 0;
  std::ifstream file(name_, std::ios::binary);
  if (!file) throw InputError(with_errno("cache: cannot read " + name_));
  for (std::string line; std::getline(file, line);) {
    const auto size = static_cast<int64_t>(line.size());
    Json json;
    try {
      json = parse_line(line);
    } catch (const InputError&) {
      json = nullptr;
    }
    if (!json.is_null()) {
      places_[json["key"].get<std::string>()] = {offset, size};
    } else if (size > 0) {
      ++damaged;
    }
    offset += size + 1;
  }
  if (damaged > 0) log::warn("{}: {} torn or damaged lines are left out", name_, damaged);
  char last = '\n';
  const off_t size = lseek(fd_, 0, SEEK_END);
  if (size > 0 && pread(fd_, &last, 1, size - 1) == 1) begins_anew_ = last != '\n';
}

std::optional<std::string> ReplyCache::line_at(Place place) const {
  std::string line(static_cast<size_t>(place.size), '\0');
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t got =
        pread(fd_, line.data() + done, line.size() - done, place.offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    done += static_cast<size_t>(got);
  }
  return line;
}

std::optional<Json> ReplyCache::find(const std::string& key) const {
  Place place;
  {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return std::nullopt;
    place = found->second;
  }
  const auto line = line_at(place);
  if (!line) return std::nullopt;
  try {
    const Json json = parse_line(*line);
    if (json.is_null() || json["key"] != key) return std::nullopt;
    return json["reply"];
  } catch (const InputError&) {
    return std::nullopt;
  }
}

void ReplyCache::put(const std::string& key, const Json& reply) {
  const std::string body = dump_json({{"key", key}, {"reply", reply}});
  std::string line = hex64(hash64(body)) + " " + body;
  const auto size = static_cast<int64_t>(line.size());
  line += '\n';
  const std::lock_guard lock(mutex_);
  if (gave_up_ || places_.contains(key)) return;
  if (begins_anew_) line.insert(line.begin(), '\n');
  ssize_t wrote;
  do {
    wrote = write(fd_, line.data(), line.size());
  } while (wrote < 0 && errno == EINTR);
  if (wrote != static_cast<ssize_t>(line.size())) {
    gave_up_ = true;
    log::warn("{}; replies are no longer kept",
              wrote < 0 ? with_errno("cannot write " + name_) : "cannot write " + name_ + " whole");
    return;
  }
  begins_anew_ = false;
  places_[key] = {lseek(fd_, 0, SEEK_CUR) - size - 1, size};
}

}  // namespace weft
