#include "trainer/learn/run/card_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"

namespace weft {
namespace {

constexpr int64_t kGb = 1'000'000'000;
constexpr double kForTheRun = 0.95;
constexpr int64_t kFewestTokens = 1024;            // of a microbatch that is worth proposing
constexpr int64_t kLeastCache = int64_t{2} << 30;  // bytes of a KV cache that is

const std::vector<std::pair<std::string, int64_t>>& cards() {
  static const std::vector<std::pair<std::string, int64_t>> all = {
      {"a100-40gb", 40 * kGb}, {"a100", 80 * kGb}, {"h100", 80 * kGb},    {"h200", 141 * kGb},
      {"b200", 180 * kGb},     {"l40s", 48 * kGb}, {"rtx-4090", 24 * kGb}};
  return all;
}

// "48gb" -> 48e9.
std::optional<int64_t> size_in_gb(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 1 || value > 100'000) return std::nullopt;
  if (std::string(end, text.data() + text.size()) != "gb") return std::nullopt;
  return value * kGb;
}

double in_gb(int64_t bytes) { return static_cast<double>(bytes) / static_cast<double>(kGb); }

int64_t total(const MemoryPlanInput& input) { return memory_plan(input)["total"].get<int64_t>(); }

// The mildest changes first, each on top of those before, until the run takes at most `most` bytes.
class Proposal {
 public:
  Proposal(MemoryPlanInput input, int64_t most) : input_(std::move(input)), most_(most) {}

  /// Flags, and the bytes with them; nothing where none is enough.
  std::optional<std::pair<std::string, int64_t>> find() {
    LearnOptions& learn = input_.learn;
    if (learn.keep_activations_layers != 0) {
      learn.keep_activations_layers = 0;
      if (enough("learn.keep_activations_layers=0")) return found();
    }
    const int64_t tokens = learn.tokens_per_microbatch;
    while (learn.tokens_per_microbatch / 2 >= kFewestTokens) {
      learn.tokens_per_microbatch /= 2;
      if (total(input_) <= most_) break;
    }
    if (learn.tokens_per_microbatch < tokens &&
        enough(fmt::format("learn.tokens_per_microbatch={}", learn.tokens_per_microbatch))) {
      return found();
    }
    if (shrink_cache()) return found();
    if (small_states()) return found();
    if (learn.full_weights) {
      learn.full_weights = false;
      if (enough("learn.full_weights=false")) return found();
    }
    return std::nullopt;
  }

 private:
  bool enough(const std::string& setting) {
    settings_ += " --set " + setting;
    return total(input_) <= most_;
  }
  /// States of fewer bytes, without masters, and with gradients as short as the weights.
  bool small_states() {
    LearnOptions& learn = input_.learn;
    if (!learn.full_weights) return false;
    const auto smaller = [&](const std::string& setting, auto&& change) {
      const int64_t before = total(input_);
      const OptimizerOptions as_before = learn.optimizer;
      change(learn.optimizer);
      if (total(input_) < before) return enough(setting);
      learn.optimizer = as_before;
      return false;
    };
    const std::string before = settings_;
    const auto kind = [&](const char* word, OptimizerKind value) {
      settings_ = before;
      return smaller(std::string("learn.optimizer=") + word + " --set learn.fp32_masters=false",
                     [&](OptimizerOptions& o) {
                       o.kind = value;
                       o.fp32_masters = false;
                     });
    };
    if (kind("adamw_bf16", OptimizerKind::kAdamWBf16)) return true;
    if (kind("adamw_8bit", OptimizerKind::kAdamW8bit)) return true;
    return smaller("learn.bf16_gradients=true",
                   [](OptimizerOptions& o) { o.bf16_gradients = true; });
  }
  bool shrink_cache() {
    if (input_.kv_cache_bytes <= kLeastCache) return false;
    const int64_t over = total(input_) - most_;
    const int64_t bytes = std::max(kLeastCache, input_.kv_cache_bytes - over);
    input_.kv_cache_bytes = bytes >> 20 << 20;
    return enough(fmt::format("engine.kv_mb={}", bytes >> 20));
  }
  std::pair<std::string, int64_t> found() const { return {settings_, total(input_)}; }

  MemoryPlanInput input_;
  const int64_t most_;
  std::string settings_;
};

// "adam 60.9 GB, gradients 30.5 GB, weights 15.2 GB"
std::string largest_parts(const Json& plan) {
  std::vector<std::pair<int64_t, std::string>> parts;
  for (const auto& [name, value] : plan.items()) {
    const bool is_part = name != "total" && !name.ends_with("parameters");
    if (is_part && value.is_number_integer()) parts.emplace_back(value.get<int64_t>(), name);
  }
  std::sort(parts.rbegin(), parts.rend());
  parts.resize(std::min<size_t>(parts.size(), 3));
  std::string text;
  for (const auto& [bytes, name] : parts) {
    text += fmt::format("{}{} {:.1f} GB", text.empty() ? "" : ", ", name, in_gb(bytes));
  }
  return text;
}

}  // namespace

void PlanOptions::validate() const {
  if (!gpu.empty()) card_bytes(gpu);
}

int64_t card_bytes(const std::string& gpu) {
  std::string known;
  for (const auto& [name, bytes] : cards()) {
    if (name == gpu) return bytes;
    known += name + ", ";
  }
  if (const auto bytes = size_in_gb(gpu)) return *bytes;
  throw InputError(fmt::format("gpu: expected {}or a size as 48gb, got \"{}\"", known, gpu));
}

Json fitted_plan(const MemoryPlanInput& input, const PlanOptions& options) {
  Json plan = memory_plan(input);
  if (options.gpu.empty()) return plan;
  const int64_t bytes = card_bytes(options.gpu), needed = plan["total"].get<int64_t>();
  const auto most = static_cast<int64_t>(kForTheRun * static_cast<double>(bytes));
  if (needed <= most) {
    plan["card"] = {
        {"gpu", options.gpu}, {"bytes", bytes}, {"for_the_run", most}, {"left", most - needed}};
    return plan;
  }
  const auto proposal = Proposal(input, most).find();
  throw InputError(fmt::format(
      "plan.gpu: the run needs {:.1f} GB ({}), {} has {:.1f} GB for it; {}", in_gb(needed),
      largest_parts(plan), options.gpu, in_gb(most),
      proposal
          ? fmt::format("it would fit with{} ({:.1f} GB)", proposal->first, in_gb(proposal->second))
          : "no setting known here makes it fit"));
}

}  // namespace weft
