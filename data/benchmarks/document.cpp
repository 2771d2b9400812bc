#include "data/benchmarks/document.h"

#include <iterator>
#include <string_view>

#include "base/error.h"
#include "base/gzip.h"

namespace weft {
namespace {

std::string text_of(const std::filesystem::path& path) {
  const auto stream = open_text(path);
  return {std::istreambuf_iterator<char>(*stream), std::istreambuf_iterator<char>()};
}

/// The first line that is not blank, without a byte order mark.
std::string first_line(const std::filesystem::path& path) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  const auto stream = open_text(path);
  for (std::string line; std::getline(*stream, line);) {
    if (line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    if (line.find_first_not_of(" \t\r") != std::string::npos) return line;
  }
  return "";
}

bool is_passage(const Json& value) { return value.is_object() && value.contains("qa_pairs"); }

bool has_passages(const Json& value) {
  return value.is_object() && !value.empty() && !value.contains("passage") &&
         is_passage(value.front());
}

/// What the first line holds, or else the whole file; null where it holds lines. Throws InputError
/// where it holds passages and is broken.
Json read_passages(const std::string& line, const std::filesystem::path& path) {
  const std::string file = path.string();
  try {
    return parse_json(line, file, JsonComments::kRefuse);
  } catch (const InputError&) {  // a line of several, or a broken one
  }
  const std::string text = text_of(path);
  try {
    return parse_json(text, file, JsonComments::kRefuse);
  } catch (const InputError&) {
    if (text.find("\"qa_pairs\"") != std::string::npos) throw;
    return nullptr;
  }
}

/// Why a passage has not the form of DROP's own; empty where it has.
std::string passage_problem(const Json& passage, const std::string& where) {
  try {
    get_field<std::string>(passage, "passage", where);
    get_field<std::vector<Json>>(passage, "qa_pairs", where);
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

std::vector<DocumentRow> rows_of_array(const Json& array, const std::string& file) {
  std::vector<DocumentRow> rows;
  for (const Json& row : array) {
    rows.push_back({file + ": row " + std::to_string(rows.size() + 1), row, ""});
  }
  return rows;
}

std::vector<DocumentRow> rows_of_passages(const Json& passages, const std::string& file) {
  std::vector<DocumentRow> rows;
  for (const auto& [id, passage] : passages.items()) {
    const std::string where = file + ": " + id;
    if (std::string problem = passage_problem(passage, where); !problem.empty()) {
      rows.push_back({where, nullptr, std::move(problem)});
      continue;
    }
    int64_t number = 0;
    for (const Json& pair : passage["qa_pairs"]) {
      Json row = pair;
      if (row.is_object()) {
        row["section_id"] = id;
        row["passage"] = passage["passage"];
      }
      rows.push_back({where + ": question " + std::to_string(++number), std::move(row), ""});
    }
  }
  return rows;
}

}  // namespace

std::optional<std::vector<DocumentRow>> read_document(const std::string& dataset,
                                                      const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) return std::nullopt;
  const std::string file = path.string();
  const std::string line = first_line(path);
  const size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return std::nullopt;
  if (line[begin] == '[') {
    const Json array = parse_json(text_of(path), file, JsonComments::kRefuse);
    return rows_of_array(array, file);
  }
  if (dataset != "drop") return std::nullopt;
  const Json document = read_passages(line, path);
  if (!has_passages(document)) return std::nullopt;
  return rows_of_passages(document, file);
}

}  // namespace weft
