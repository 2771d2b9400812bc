#include "base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace weft {
namespace {

// The few protocol-buffer fields of tensorflow.Event that a scalar needs.
constexpr int kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3, kEventSummary = 5;
constexpr int kSummaryValue = 1, kValueTag = 1, kValueSimple = 2;

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

template <class T>
void put_raw(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_key(std::string& out, int field, int wire_type) {
  put_varint(out, static_cast<uint64_t>(field << 3 | wire_type));
}

void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_key(out, field, 2);
  put_varint(out, bytes.size());
  out += bytes;
}

std::string event(int64_t step) {
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string out;
  put_key(out, kEventWallTime, 1);
  put_raw(out, now);
  put_key(out, kEventStep, 0);
  put_varint(out, static_cast<uint64_t>(step));
  return out;
}

uint32_t masked_crc(std::string_view data) {
  const uint32_t crc = crc32c(data);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

std::string record(const std::string& payload) {
  std::string length, out;
  put_raw(length, static_cast<uint64_t>(payload.size()));
  out = length;
  put_raw(out, masked_crc(length));
  out += payload;
  put_raw(out, masked_crc(payload));
  return out;
}

std::string scalar_event(int64_t step, const Json& values) {
  std::string summary;
  for (const auto& [tag, number] : values.items()) {
    if (!number.is_number() || !std::isfinite(number.get<double>())) continue;
    std::string value;
    put_bytes(value, kValueTag, tag);
    put_key(value, kValueSimple, 5);
    put_raw(value, number.get<float>());
    put_bytes(summary, kSummaryValue, value);
  }
  std::string out = event(step);
  put_bytes(out, kEventSummary, summary);
  return out;
}

/// The step of an event of this file's own making; nothing for other bytes.
std::optional<uint64_t> step_of(std::string_view payload) {
  size_t at = 1 + sizeof(double);
  if (payload.size() < at + 2 || payload[0] != (kEventWallTime << 3 | 1) ||
      payload[at] != kEventStep << 3) {
    return std::nullopt;
  }
  uint64_t step = 0;
  for (int shift = 0; ++at < payload.size() && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(payload[at]);
    step |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return step;
  }
  return std::nullopt;
}

constexpr const char* kEventFile = "events.out.tfevents";

/// Moves the records of steps after `last`, and what a crash cut off, out of one event file.
void move_records_aside(const fs::path& path, uint64_t last) {
  const std::string bytes = read_file(path);
  constexpr size_t kHead = sizeof(uint64_t) + sizeof(uint32_t), kTail = sizeof(uint32_t);
  std::string kept, aside;
  for (size_t at = 0; at < bytes.size();) {
    uint64_t length = 0;
    const size_t left = bytes.size() - at;
    if (left >= kHead) std::memcpy(&length, bytes.data() + at, sizeof length);
    const bool whole = left >= kHead + kTail && length <= left - kHead - kTail;
    const size_t size = whole ? kHead + length + kTail : left;
    const auto step =
        step_of(std::string_view(bytes).substr(at).substr(0, size).substr(std::min(kHead, size)));
    (whole && step && *step <= last ? kept : aside).append(bytes, at, size);
    at += size;
  }
  if (aside.empty()) return;
  const std::string name = path.filename().string().substr(std::strlen(kEventFile));
  for (int n = 1;; ++n) {
    const fs::path target = path.parent_path() / fmt::format("events.aside.{}{}", n, name);
    if (fs::exists(target)) continue;
    write_file_atomically(target, aside);
    break;
  }
  write_file_atomically(path, kept);
}

void move_later_records_aside(const fs::path& dir, int64_t last) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (entry.path().filename().string().starts_with(kEventFile)) files.push_back(entry.path());
  }
  for (const fs::path& file : files) move_records_aside(file, static_cast<uint64_t>(last));
}

}  // namespace

uint32_t crc32c(std::string_view data) {
  static const auto table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  uint32_t crc = 0xffffffffu;
  for (const unsigned char byte : data) crc = table[(crc ^ byte) & 0xff] ^ (crc >> 8);
  return ~crc;
}

MetricWriter::MetricWriter(const fs::path& dir, int64_t resume_step) {
  const bool resume = resume_step >= 0;
  const auto path = dir / "metrics.jsonl";
  if (resume) {
    move_later_steps_aside(path, resume_step);
    move_later_records_aside(dir, resume_step);
  }
  lines_ = std::make_unique<JsonlWriter>(path, resume);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  events_name_ = (dir / fmt::format("{}.{}.weft", kEventFile, micros)).string();
  events_.open(events_name_, std::ios::binary);
  std::string first = event(0);
  put_bytes(first, kEventFileVersion, "brain.Event:2");
  events_ << record(first) << std::flush;
  if (!events_) throw Error(with_errno("cannot write " + events_name_));
}

void MetricWriter::write(int64_t step, const Json& values) {
  Json line = {{"step", step}};
  line.update(values);
  lines_->write(line);
  events_ << record(scalar_event(step, values)) << std::flush;
  if (!events_) throw Error(with_errno("cannot write " + events_name_));
}

}  // namespace weft
