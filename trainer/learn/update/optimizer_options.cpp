#include "trainer/learn/update/optimizer_options.h"

#include "base/error.h"

namespace weft {
namespace {

constexpr double kMostGradNorm = 1e18;  // beyond, the square of a gradient is infinite in fp32
constexpr int64_t kMostNewtonSchulzSteps = 20;

void check_share(const char* field, double value) {
  if (!(value >= 0 && value < 1)) {
    throw InputError(std::string(field) + ": expected a number in [0, 1), got " +
                     std::to_string(value));
  }
}

}  // namespace

EnumTable<OptimizerKind> enum_table(OptimizerKind) {
  return {{OptimizerKind::kAdamW, "adamw"},
          {OptimizerKind::kAdamWBf16, "adamw_bf16"},
          {OptimizerKind::kAdamW8bit, "adamw_8bit"},
          {OptimizerKind::kMuon, "muon"}};
}

void AdamWOptions::validate() const {
  check_share("beta1", beta1);
  check_share("beta2", beta2);
  if (!(eps > 0 && eps <= 1)) {
    throw InputError("eps: expected a number in (0, 1], got " + std::to_string(eps));
  }
  check_share("weight_decay", weight_decay);
  if (!(max_grad_norm >= 0 && max_grad_norm <= kMostGradNorm)) {
    throw InputError("max_grad_norm: expected a number in [0, 1e18], got " +
                     std::to_string(max_grad_norm));
  }
}

void MuonOptions::validate() const {
  check_share("momentum", momentum);
  if (newton_schulz_steps < 1 || newton_schulz_steps > kMostNewtonSchulzSteps) {
    throw InputError("newton_schulz_steps: expected 1 to " +
                     std::to_string(kMostNewtonSchulzSteps) + ", got " +
                     std::to_string(newton_schulz_steps));
  }
}

void ParameterGroup::validate() const {
  if (pattern.empty()) throw InputError("pattern: expected names, got nothing");
  if (weight_decay) check_share("weight_decay", *weight_decay);
  if (!(lr_scale >= 0 && lr_scale <= 1000)) {
    throw InputError("lr_scale: expected a number in [0, 1000], got " + std::to_string(lr_scale));
  }
}

std::vector<ParameterGroup> OptimizerOptions::parsed_groups() const {
  std::vector<ParameterGroup> result;
  for (const Json& group : groups) {
    try {
      result.push_back(load_config<ParameterGroup>(group));
    } catch (const InputError& error) {
      throw InputError("parameter_groups[" + std::to_string(result.size()) + "]: " + error.what());
    }
    result.back().validate();
  }
  return result;
}

void OptimizerOptions::validate() const {
  if (bf16_gradients && has_masters()) {
    throw InputError(
        "bf16_gradients: they would be less exact than the fp32 masters that they change: expected "
        "fp32_masters = false with them");
  }
  parsed_groups();
  if (in_backward && adamw.max_grad_norm > 0) {
    throw InputError(
        "optimizer_in_backward: the norm of all gradients is not known when the first layer is "
        "updated: expected adamw.max_grad_norm = 0, got " +
        std::to_string(adamw.max_grad_norm));
  }
}

bool matches_pattern(const std::string& pattern, const std::string& text) {
  size_t p = 0, t = 0, star = std::string::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace weft
