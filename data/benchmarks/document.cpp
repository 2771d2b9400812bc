#include "data/benchmarks/document.h"

#include <iterator>

#include "base/error.h"
#include "base/gzip.h"

namespace weft {
namespace {

std::string text_of(const std::filesystem::path& path) {
  const auto stream = open_text(path);
  return {std::istreambuf_iterator<char>(*stream), std::istreambuf_iterator<char>()};
}

/// The first line that is not blank.
std::string first_line(const std::filesystem::path& path) {
  const auto stream = open_text(path);
  for (std::string line; std::getline(*stream, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) return line;
  }
  return "";
}

bool is_passage(const Json& value) { return value.is_object() && value.contains("qa_pairs"); }

bool has_passages(const Json& value) {
  return value.is_object() && !value.empty() && !value.contains("passage") &&
         is_passage(value.front());
}

/// None where the text is no JSON.
Json parsed_or_null(const std::string& text) {
  try {
    return parse_json(text, "", JsonComments::kRefuse);
  } catch (const InputError&) {
    return nullptr;
  }
}

std::vector<DocumentRow> rows_of_array(const Json& array, const std::string& file) {
  std::vector<DocumentRow> rows;
  for (const Json& row : array) {
    rows.push_back({file + ": row " + std::to_string(rows.size() + 1), row});
  }
  return rows;
}

std::vector<DocumentRow> rows_of_passages(const Json& passages, const std::string& file) {
  std::vector<DocumentRow> rows;
  for (const auto& [id, passage] : passages.items()) {
    const std::string where = file + ": " + id;
    if (!is_passage(passage) || !passage["qa_pairs"].is_array()) {
      rows.push_back({where, passage});
      continue;
    }
    int64_t number = 0;
    for (const Json& pair : passage["qa_pairs"]) {
      Json row = pair;
      if (row.is_object()) {
        row["section_id"] = id;
        row["passage"] = passage.value("passage", Json());
      }
      rows.push_back({where + ": question " + std::to_string(++number), std::move(row)});
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
  Json document = parsed_or_null(line);
  if (document.is_null()) document = parsed_or_null(text_of(path));
  if (!has_passages(document)) return std::nullopt;
  return rows_of_passages(document, file);
}

}  // namespace weft
