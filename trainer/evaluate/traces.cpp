#include "trainer/evaluate/traces.h"

#include "base/error.h"
#include "base/log.h"

namespace weft {

namespace {

constexpr uint64_t kMaxLineBytes = uint64_t{1} << 30;

}  // namespace

void TraceWriter::write(const ResultRow& row, const Json& calls) {
  if (calls.empty()) return;
  file_.write(
      {{"method", row.method}, {"task", row.task}, {"sample", row.sample}, {"calls", calls}});
}

TraceReader::TraceReader(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return;
  file_ = std::make_unique<LineFile>(path, path.parent_path(), kMaxLineBytes);
  int64_t left_out = 0;
  for (TextLine line; file_->next(line);) {
    const std::string where = file_->where(line);
    try {
      const Json json = parse_json(line.text, where);
      places_[{get_field<std::string>(json, "method", where),
               get_field<std::string>(json, "task", where),
               get_field<int64_t>(json, "sample", where)}] = line.offset;
    } catch (const InputError&) {
      ++left_out;
    }
  }
  if (left_out > 0) log::warn("{}: {} lines are no traces", path.string(), left_out);
}

Json TraceReader::calls(const std::string& method, const std::string& task, int sample) const {
  const auto place = places_.find({method, task, sample});
  if (place == places_.end()) return Json::array();
  const std::string& name = file_->name();
  Json calls = get_field<Json>(parse_json(file_->read(place->second), name), "calls", name);
  return calls.is_array() ? calls : Json::array();
}

}  // namespace weft
