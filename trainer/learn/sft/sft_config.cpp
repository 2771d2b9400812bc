#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/machine.h"
#include "model/checkpoint/hf_model.h"
#include "model/ops/threads.h"
#include "trainer/learn/run/policy.h"
#include "trainer/learn/run/rough_time.h"
#include "trainer/learn/run/start.h"
#include "trainer/learn/sft/train_sft_program.h"

namespace weft {
namespace {

constexpr int64_t kDryRunLines = 20000;

void check_at_least(const char* field, int64_t value, int64_t least) {
  if (value < least) {
    throw InputError(fmt::format("{}: expected >= {}, got {}", field, least, value));
  }
}

bool on_this_cpu(const SftConfig& config) {
  return config.plan.gpu.empty() && (config.device == "cpu" || config.device == "auto");
}

/// Of a run over the examples that `counts` tells of.
Json time_plan(const SftConfig& config, const TransformerConfig& shape, const Json& counts) {
  use_threads(config.threads);
  const auto examples = counts.at("examples").get<double>();
  double passes = static_cast<double>(config.epochs);
  if (config.max_steps > 0 && examples > 0) {
    const double taken = double(config.max_steps) * double(config.sequences_per_step);
    passes = std::min(passes, taken / examples);
  }
  const double tokens = passes * counts.at("tokens").get<double>();
  return rough_time(shape, config.learn, resolve_dtype(config.dtype), std::llround(tokens));
}

}  // namespace

void SftConfig::validate() const {
  resolve_dtype(dtype);
  require_threads("threads", threads);
  check_at_least("epochs", epochs, 1);
  check_at_least("sequences_per_step", sequences_per_step, 1);
  require_room("sequences_per_step", sequences_per_step, kRecordBytes);
  check_at_least("max_steps", max_steps, 0);
  check_at_least("max_skipped_examples", max_skipped_examples, 0);
  if (learn.full_weights && !learn.init_adapter.empty()) {
    throw InputError("init_adapter: has no meaning with learn.full_weights = true");
  }
}

Json SftConfig::memory_plan() const {
  MemoryPlanInput input;
  input.shape = plan_shape(model, model_shape);
  input.weight_bytes = plan_weight_bytes(dtype);
  input.learn = learn;
  input.learn.lora = adapter_shape(learn);
  return fitted_plan(input, plan);
}

void SftConfig::check_start(StartCheck& check) const {
  check_trainer_start({model, learn.init_adapter, device, out, plans_for_a_card(),
                       [this] { return memory_plan(); }},
                      check);
  check.without_error([this] { data.require_source(); });
  if (!data.jsonl.empty()) check.file("data.jsonl", data.jsonl);
  if (!data.store.empty()) check.file("data.store", data.store);
  for (const auto& file : data.tasks) check.file("data.tasks", file);
}

Json SftConfig::data_plan() const {
  const auto not_read = [](const std::string& why) { return Json{{"not_read", why}}; };
  const std::string& source = data.jsonl.empty() ? data.store : data.jsonl;
  if (source.empty()) return nullptr;
  if (!std::filesystem::exists(source)) return not_read(source + " is not there");
  if (data.jsonl.empty()) return {{"examples", stored_examples(data).size()}};
  if (model.empty() || !std::filesystem::exists(std::filesystem::path(model) / "config.json")) {
    return not_read("no model folder whose tokenizer could count");
  }
  const TransformerConfig shape = TransformerConfig::from_directory(model);
  const auto tokenizer = Tokenizer::load(model);
  const auto chat_template = find_chat_template(model);
  SftDataOptions options = data;
  options.max_tokens = std::min(options.max_tokens, shape.max_positions);
  Json shown = plan_jsonl_examples(
      options, ExampleEncoder(*tokenizer, chat_template.get(), shape.eos_ids), kDryRunLines);
  if (on_this_cpu(*this)) shown["time"] = time_plan(*this, shape, shown);
  return shown;
}

}  // namespace weft
