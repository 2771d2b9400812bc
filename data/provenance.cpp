#include "data/provenance.h"

#include <algorithm>
#include <string_view>

#include "base/file.h"
#include "base/json.h"

namespace weft {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFile = "source.json";
constexpr std::string_view kRounded = "-int8";

/// source.json of a directory; an empty object where there is none.
Json read_source(const fs::path& dir) {
  const fs::path path = dir / kFile;
  return fs::exists(path) ? read_json_file(path) : Json::object();
}

}  // namespace

Provenance provenance_of(const std::string& model_name) {
  std::string dir = model_name;
  const bool rounded = dir.ends_with(kRounded) && !fs::is_directory(dir);
  if (rounded) dir.resize(dir.size() - kRounded.size());
  if (!fs::is_directory(dir)) return {model_name, {}};
  const fs::path path = fs::path(dir).lexically_normal();
  const fs::path name = path.has_filename() ? path.filename() : path.parent_path().filename();
  const Json source = read_source(path);
  const std::string where = (path / kFile).string();
  Provenance provenance;
  provenance.label = get_field_or<std::string>(source, "label", name.string(), where);
  if (rounded) provenance.label += ", weights rounded to 8 bits";
  provenance.teachers = get_field_or<std::vector<std::string>>(source, "teachers", {}, where);
  return provenance;
}

void write_teachers(const fs::path& dir, const std::string& start,
                    const std::vector<std::string>& teachers) {
  std::vector<std::string> all = provenance_of(start).teachers;
  for (const std::string& teacher : teachers) {
    if (std::find(all.begin(), all.end(), teacher) == all.end()) all.push_back(teacher);
  }
  if (all.empty()) return;
  Json source = read_source(dir);
  source["teachers"] = all;
  write_file_atomically(dir / kFile, dump_json_pretty(source));
}

std::string teacher_words(const std::string& origin) {
  constexpr std::string_view kTeacher = "teacher:", kModel = "model:";
  if (origin == "scripted")
    return "scripted teacher (a grammar of workflows, not a language model)";
  if (origin.starts_with(kTeacher)) return origin.substr(kTeacher.size()) + " (teacher)";
  return origin.starts_with(kModel) ? origin.substr(kModel.size()) : origin;
}

}  // namespace weft
