#include "base/jsonl.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "base/file.h"
#include "base/gzip.h"

namespace weft {
namespace {

/// As std::getline, but of a longer line only the first `most_bytes` are kept, and `cut` is set.
bool read_line(std::istream& stream, std::string& line, size_t most_bytes, bool& cut) {
  line.clear();
  cut = false;
  char chunk[1 << 14];
  for (;;) {
    stream.getline(chunk, sizeof chunk);
    const bool has_newline = stream.good();
    const size_t got = static_cast<size_t>(stream.gcount()) - (has_newline ? 1 : 0);
    const size_t kept = std::min(got, most_bytes - line.size());
    cut = cut || kept < got;
    line.append(chunk, kept);
    if (has_newline) return true;
    if (got == 0 || stream.eof()) return !line.empty();
    stream.clear();  // of the failure that says that the chunk is full
  }
}

}  // namespace

JsonlReader::JsonlReader(const std::filesystem::path& path, size_t most_line_bytes)
    : name_(path.string()), most_line_bytes_(most_line_bytes) {
  if (path == "-") {
    name_ = "standard input";
    stream_ = &std::cin;
    return;
  }
  file_ = open_text(path);
  stream_ = file_.get();
}

std::string JsonlReader::where(const JsonlLine& line) const {
  return name_ + ":" + std::to_string(line.number);
}

bool JsonlReader::next(JsonlLine& line) {
  std::string text;
  bool cut = false;
  while (read_line(*stream_, text, most_line_bytes_, cut)) {
    line = JsonlLine{++number_, nullptr, ""};
    if (cut) {
      line.error = where(line) + ": expected a line of at most " +
                   std::to_string(most_line_bytes_) + " bytes, got a longer one";
      return true;
    }
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      line.value = parse_json_row(text, where(line));
    } catch (const InputError& error) {
      line.error = error.what();
    }
    return true;
  }
  return false;
}

JsonlWriter::JsonlWriter(const std::filesystem::path& path, bool append) : name_(path.string()) {
  if (path == "-") {
    name_ = "standard output";
    file_ = stdout;
    return;
  }
  if (append) move_partial_line_aside(path);
  file_ = std::fopen(path.c_str(), append ? "ae" : "we");
  if (!file_) throw Error(with_errno("cannot write " + name_));
}

JsonlWriter::~JsonlWriter() {
  if (file_ != stdout) std::fclose(file_);
}

void JsonlWriter::write(const Json& value) {
  const std::string text = dump_json(value) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0) {
    throw Error(with_errno("cannot write " + name_));
  }
}

std::filesystem::path aside_path(const std::filesystem::path& path) {
  return path.string() + ".aside";
}

void move_lines_aside(const std::filesystem::path& path,
                      const std::function<bool(const Json&)>& keep) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return;
  const std::string text = read_file(path);
  std::string kept, aside;
  for (size_t begin = 0; begin < text.size();) {
    const size_t newline = text.find('\n', begin);
    const bool whole = newline != std::string::npos;
    const std::string line = text.substr(begin, newline - begin);
    begin = whole ? newline + 1 : text.size();
    const Json value = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    (whole && !value.is_discarded() && keep(value) ? kept : aside) += line + "\n";
  }
  if (aside.empty()) return;
  append_durably(aside_path(path), aside);
  write_file_atomically(path, kept);
}

void move_later_steps_aside(const std::filesystem::path& path, int64_t last_step) {
  move_lines_aside(path, [last_step](const Json& line) {
    const auto step = line.is_object() ? line.find("step") : line.end();
    return step == line.end() || !step->is_number() || step->get<int64_t>() <= last_step;
  });
}

void move_partial_line_aside(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return;
  const int64_t size = file.tellg();
  int64_t keep = size;
  char last = '\n';
  for (; keep > 0; --keep) {
    file.seekg(keep - 1);
    file.get(last);
    if (last == '\n') break;
  }
  if (keep == size) return;
  std::string rest(static_cast<size_t>(size - keep), '\0');
  file.seekg(keep);
  file.read(rest.data(), size - keep);
  append_durably(aside_path(path), rest + "\n");
  std::filesystem::resize_file(path, static_cast<uintmax_t>(keep));
}

}  // namespace weft
