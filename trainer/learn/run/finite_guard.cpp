#include "trainer/learn/run/finite_guard.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace weft {

std::string keep_non_finite_batch(const std::filesystem::path& run_dir, int64_t step,
                                  const std::string& tensor,
                                  std::span<const TrainSequence> sequences,
                                  const Tokenizer& tokenizer) {
  Json batch = {{"step", step}, {"tensor", tensor}, {"sequences", Json::array()}};
  for (const TrainSequence& s : sequences) {
    batch["sequences"].push_back({{"prompt_ids", s.prompt_ids},
                                  {"completion_ids", s.completion_ids},
                                  {"prompt", tokenizer.decode(s.prompt_ids)},
                                  {"completion", tokenizer.decode(s.completion_ids)}});
  }
  const auto file = run_dir / "non_finite" / fmt::format("step_{}.json", step);
  std::string where = "its batch is in " + file.string();
  try {
    std::filesystem::create_directories(file.parent_path());
    write_file_atomically(file, dump_json_pretty(batch));
  } catch (const std::exception& error) {
    where = std::string("its batch could not be kept: ") + error.what();
  }
  return fmt::format("step {}: the gradient of {} is not finite; {}", step, tensor, where);
}

}  // namespace weft
