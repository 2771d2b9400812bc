#include "data/episode.h"

#include <cmath>

namespace weft {

std::set<uint64_t> lost_groups(const std::vector<Episode>& episodes) {
  std::set<uint64_t> groups;
  for (const Episode& e : episodes) {
    if (e.infra_error || !std::isfinite(e.reward)) groups.insert(e.group);
  }
  return groups;
}

std::string why_not_valid(const Episode& episode) {
  return episode.problem + (episode.truncated ? " (cut at max_completion_tokens)" : "");
}

Json episode_to_json(int64_t step, const Episode& episode) {
  Json row = {{"step", step},
              {"task_id", episode.task_id},
              {"group", episode.group},
              {"reward", episode.reward}};
  each_term(episode.terms, [&row](const std::string& field, double value) { row[field] = value; });
  row.update({{"valid", episode.valid},
              {"truncated", episode.truncated},
              {"infra_error", episode.infra_error},
              {"outcome", episode.outcome},
              {"problem", episode.problem},
              {"usage", episode.usage},
              {"text", episode.text},
              {"prompt_ids", episode.prompt_ids},
              {"completion_ids", episode.completion_ids},
              {"temperature", episode.temperature},
              {"sampling_logprobs", episode.sampling_logprobs}});
  return row;
}

}  // namespace weft
