/// An SQLite file that somebody else is writing to. Users link SQLite::SQLite3.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <stdexcept>

namespace weft::test {

/// Keeps the file's write lock until it is destroyed.
class LockedDatabase {
 public:
  explicit LockedDatabase(const std::filesystem::path& path) {
    if (sqlite3_open(path.c_str(), &handle_) != SQLITE_OK ||
        sqlite3_exec(handle_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw std::runtime_error("cannot lock " + path.string());
    }
  }
  ~LockedDatabase() {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    sqlite3_close(handle_);
  }
  LockedDatabase(const LockedDatabase&) = delete;
  LockedDatabase& operator=(const LockedDatabase&) = delete;

 private:
  sqlite3* handle_ = nullptr;
};

}  // namespace weft::test
