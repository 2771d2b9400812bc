#include "model/remote/recording.h"

#include "base/error.h"
#include "base/known_fields.h"

namespace weft {
namespace {

std::string key_of(const std::string& path, const Json& request) {
  return path + "\n" + dump_json(request);
}

}  // namespace

void AnswerRecorder::add(const WireRequest& request, const std::string& answer) {
  writer_.write({{"path", request.path},
                 {"request", parse_json(request.body, "the request")},
                 {"answer", parse_json(answer, "the answer")}});
}

RecordedAnswers::RecordedAnswers(const std::filesystem::path& path) {
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) {
    if (!line.error.empty()) throw InputError(line.error);
    const std::string where = reader.where(line);
    refuse_unknown_fields(line.value, {"path", "request", "answer"}, where);
    const auto key = key_of(get_field<std::string>(line.value, "path", where),
                            get_field<Json>(line.value, "request", where));
    answers_[key].push_back(dump_json(get_field<Json>(line.value, "answer", where)));
  }
}

std::optional<std::string> RecordedAnswers::take(const WireRequest& request) {
  const auto found = answers_.find(key_of(request.path, parse_json(request.body, "the request")));
  if (found == answers_.end() || found->second.empty()) return std::nullopt;
  std::string answer = std::move(found->second.front());
  found->second.pop_front();
  return answer;
}

}  // namespace weft
