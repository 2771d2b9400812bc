/// The rows that programs of JSON lines have written.
#pragma once

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "base/jsonl.h"

namespace weft::test {

/// Of a file, gzipped or not; a bad line is a null.
inline std::vector<Json> read_json_lines(const std::filesystem::path& path) {
  std::vector<Json> rows;
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) rows.push_back(line.value);
  return rows;
}

/// Of a text without blank lines. Throws InputError at a bad line.
inline std::vector<Json> parse_json_lines(const std::string& text) {
  std::vector<Json> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) rows.push_back(parse_json(line, "line"));
  return rows;
}

}  // namespace weft::test
