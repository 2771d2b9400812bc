#include "base/jsonl.h"

#include <cstring>
#include <fstream>
#include <iostream>

#include "base/error.h"
#include "base/gzip.h"

namespace weft {

JsonlReader::JsonlReader(const std::filesystem::path& path) : name_(path.string()) {
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
  while (std::getline(*stream_, text)) {
    line = JsonlLine{++number_, nullptr, ""};
    if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
    try {
      line.value = parse_json(text, where(line));
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
  if (append) drop_partial_last_line(path);
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

void drop_partial_last_line(const std::filesystem::path& path) {
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
  if (keep < size) std::filesystem::resize_file(path, static_cast<uintmax_t>(keep));
}

}  // namespace weft
