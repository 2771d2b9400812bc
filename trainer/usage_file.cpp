#include "trainer/usage_file.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace weft {

UsageFile::UsageFile(std::filesystem::path path, std::function<Json()> counters, double every_s)
    : path_(std::move(path)), counters_(std::move(counters)) {
  thread_ = std::thread([this, every_s] { work(every_s); });
}

UsageFile::~UsageFile() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void UsageFile::work(double every_s) {
  bool warned = false, last = false;
  while (!last) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::duration<double>(every_s), [this] { return stopping_; });
      last = stopping_;
    }
    try {
      write();
    } catch (const std::exception& error) {
      if (!warned || last) log::warn("usage of this run: {}", error.what());
      warned = true;
    }
  }
}

void UsageFile::write() {
  Json total = counters_();
  const auto is_zero = [](const Json& value) { return value == 0; };
  if (std::all_of(total.begin(), total.end(), is_zero)) return;
  if (before_.is_null()) {
    before_ = std::filesystem::exists(path_) ? read_json_file(path_) : Json::object();
  }
  for (auto& [key, value] : total.items()) {
    value = value.get<int64_t>() + get_field_or<int64_t>(before_, key.c_str(), 0, path_.string());
  }
  if (total == written_) return;
  write_file_atomically(path_, dump_json_pretty(total));
  written_ = std::move(total);
}

}  // namespace weft
