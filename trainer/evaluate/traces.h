/// What each run asked and was told, kept beside its row: traces.jsonl of a run folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "base/json.h"
#include "base/jsonl.h"
#include "base/line_file.h"
#include "trainer/evaluate/results.h"

namespace weft {

/// Writes {"method", "task", "sample", "calls"} for each run that made calls; "calls" is
/// Outcome::trace. Used by one thread.
class TraceWriter {
 public:
  /// Appends; throws Error where the file cannot be opened.
  explicit TraceWriter(const std::filesystem::path& path) : file_(path, /*append=*/true) {}

  /// Throws Error when the disk is full.
  void write(const ResultRow& row, const Json& calls);

 private:
  JsonlWriter file_;
};

/// Traces by their run. Holds where they stand, not the traces. Used by one thread.
class TraceReader {
 public:
  /// No file, no traces. Of two traces of one run the later counts. Lines that are none are
  /// counted in the log. Throws InputError when the file cannot be read.
  explicit TraceReader(const std::filesystem::path& path);

  /// An array, empty where the run has no trace.
  Json calls(const std::string& method, const std::string& task, int sample) const;

 private:
  std::unique_ptr<LineFile> file_;
  std::map<std::tuple<std::string, std::string, int64_t>, uint64_t> places_;
};

}  // namespace weft
