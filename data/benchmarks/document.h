/// Files of benchmarks that are one JSON value and no lines.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

struct DocumentRow {
  std::string where;    ///< "FILE: row 3", "FILE: PASSAGE: question 2"; from 1
  Json row;             ///< as parse_benchmark_row reads it; null where there is a problem
  std::string problem;  ///< why it is no row, with `where`; empty where it is one
};

/// The rows of a file that is an array of them (HotpotQA's, say) or, of `drop`, DROP's own object
/// of passages with `qa_pairs`; gzipped or not. Nothing where the file holds lines, and of what
/// can be read once only, as a pipe. A passage that has not that form is a row with a problem.
/// Throws InputError naming file and place for an array or an object of passages that is broken.
/// The whole file is held in memory.
std::optional<std::vector<DocumentRow>> read_document(const std::string& dataset,
                                                      const std::filesystem::path& path);

}  // namespace weft
