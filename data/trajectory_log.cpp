#include "data/trajectory_log.h"

#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace weft {

namespace fs = std::filesystem;

namespace {

int64_t num_bytes(const Trajectory& row) {
  return static_cast<int64_t>(sizeof row + row.prompt.size() + row.reasoning.size() +
                              row.code.size() + dump_json(row.usage).size());
}

int64_t num_bytes(const std::vector<Trajectory>& rows) {
  int64_t bytes = 0;
  for (const Trajectory& row : rows) bytes += num_bytes(row);
  return bytes;
}

}  // namespace

TrajectoryLog::TrajectoryLog(fs::path path, Options options)
    : path_(std::move(path)), options_(options) {
  const fs::path folder = fs::absolute(path_).parent_path();
  if (!fs::is_directory(folder)) {
    throw InputError(path_.string() +
                     ": expected a folder to make the trajectory store in, found no " +
                     folder.string());
  }
  std::error_code ignored;
  if (fs::exists(path_) && fs::file_size(path_, ignored) > 0) {
    TrajectoryStore(path_, StoreAccess::kRead);
  }
  thread_ = std::thread([this] { work(); });
}

TrajectoryLog::~TrajectoryLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (!waiting_.empty()) ++asked_;
  }
  wake_.notify_all();
  thread_.join();
  const int64_t missing = static_cast<int64_t>(waiting_.size()) + lost_;
  if (missing == 0) return;
  log::warn("{}: {} workflows are not in the store{}{}", path_.string(), missing,
            failure_.empty() ? "" : ": ", failure_);
}

void TrajectoryLog::add(std::vector<Trajectory> rows) {
  if (rows.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    const int64_t bytes = num_bytes(rows);
    if (waiting_bytes_ + bytes > options_.max_waiting_bytes) {
      lost_ += static_cast<int64_t>(rows.size());
      if (!is_full_) {
        log::warn("{}: more than {} MiB of workflows wait to be stored, further ones are lost",
                  path_.string(), options_.max_waiting_bytes >> 20);
      }
      is_full_ = true;
    } else {
      waiting_bytes_ += bytes;
      std::move(rows.begin(), rows.end(), std::back_inserter(waiting_));
    }
    ++asked_;
  }
  wake_.notify_all();
}

void TrajectoryLog::flush() {
  std::unique_lock lock(mutex_);
  if (waiting_.empty() && num_under_way_ == 0) return;
  const int64_t last = ++asked_;
  wake_.notify_all();
  tried_.wait(lock, [&] { return done_ >= last; });
}

TrajectoryLog::Counts TrajectoryLog::counts() const {
  const std::lock_guard lock(mutex_);
  return {stored_, static_cast<int64_t>(waiting_.size()) + num_under_way_, lost_};
}

void TrajectoryLog::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || asked_ > done_; });
    if (asked_ == done_) return;
    const int64_t until = asked_;
    std::vector<Trajectory> rows = std::move(waiting_);
    waiting_.clear();
    num_under_way_ = static_cast<int64_t>(rows.size());
    lock.unlock();
    const std::string failure = try_to_store(rows);
    lock.lock();
    settle(std::move(rows), failure);
    done_ = until;
    tried_.notify_all();
  }
}

/// Empty, or why nothing of it is stored.
std::string TrajectoryLog::try_to_store(const std::vector<Trajectory>& rows) {
  if (rows.empty()) return "";
  try {
    if (!store_) {
      store_ =
          std::make_unique<TrajectoryStore>(path_, StoreAccess::kReadWrite, options_.lock_wait_ms);
    }
    if (options_.repeats == Repeats::kStored) {
      store_->insert_all(rows);
    } else {
      store_->insert_missing(rows);
    }
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

void TrajectoryLog::settle(std::vector<Trajectory> rows, const std::string& failure) {
  const auto count = static_cast<int64_t>(rows.size());
  num_under_way_ = 0;
  if (count == 0) return;
  if (failure.empty()) {
    stored_ += count;
    waiting_bytes_ -= num_bytes(rows);
    is_full_ = false;
    if (!failure_.empty()) log::info("{}: {} workflows stored", path_.string(), count);
  } else {
    std::move(waiting_.begin(), waiting_.end(), std::back_inserter(rows));
    waiting_ = std::move(rows);
    if (failure_.empty()) {
      log::warn("{} workflows could not be stored and are tried again with the next: {}", count,
                failure);
    }
  }
  failure_ = failure;
}

}  // namespace weft
