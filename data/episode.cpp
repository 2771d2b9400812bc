#include "data/episode.h"

namespace weft {

Json episode_to_json(int64_t step, const Episode& episode) {
  return {{"step", step},
          {"task_id", episode.task_id},
          {"group", episode.group},
          {"reward", episode.reward},
          {"reward_pass", episode.reward_pass},
          {"reward_complexity", episode.reward_complexity},
          {"reward_diversity", episode.reward_diversity},
          {"valid", episode.valid},
          {"truncated", episode.truncated},
          {"infra_error", episode.infra_error},
          {"outcome", episode.outcome},
          {"usage", episode.usage},
          {"text", episode.text},
          {"prompt_ids", episode.prompt_ids},
          {"completion_ids", episode.completion_ids},
          {"temperature", episode.temperature},
          {"sampling_logprobs", episode.sampling_logprobs}};
}

}  // namespace weft
