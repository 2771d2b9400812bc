/// The models of an evaluation behind its cache of replies.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/run_inputs.h"
#include "model/text_model.h"
#include "trainer/evaluate/backend.h"
#include "trainer/evaluate/cached_model.h"
#include "trainer/evaluate/methods.h"

namespace weft {

/// Without a folder, models are handed back as they are. Used by one thread; borrows the
/// models.
class ModelCaches {
 public:
  /// `config` is the program's, whose keys dtype, device and worker tell models apart beside the
  /// fingerprints in `inputs`. Throws as ReplyCache.
  ModelCaches(const std::string& folder, const Json& config, const RunInputs& inputs);

  TextModel& worker(TextModel& model);
  /// Of a meta or hybrid method. Throws InputError when its files cannot be read.
  MetaModel weights(const Method& method, MetaModel model);

  /// {"replies", "asked", "prompt_tokens", "completion_tokens", "usd"}: what was there, what models
  /// were asked for, and what the former would have cost.
  Json use() const;

 private:
  TextModel& cached(const std::string& name, TextModel& model, Json revision);

  std::shared_ptr<ReplyCache> cache_;  ///< null without a folder
  Json revision_;
  std::map<std::string, std::unique_ptr<CachedModel>> models_;
};

}  // namespace weft
