#include "trainer/learn/grpo/method.h"

#include <fmt/format.h>

#include <string>

#include "base/error.h"

namespace weft {
namespace {

void set_bounds(PolicyLossOptions& loss, double low, double high) {
  loss.clip_low = low;
  loss.clip_high = high;
}

void set_kl(PolicyLossOptions& loss, KlKind kind, KlPlace place) {
  loss.kl = kind;
  loss.kl_place = place;
}

void apply_dapo(PolicyUpdateOptions& update, int64_t& refill_rounds) {
  update.advantage = AdvantageKind::kNormalized;
  update.loss.mean = TokenMean::kPerBatch;
  set_bounds(update.loss, 0.2, 0.28);
  update.drop_equal_groups = true;
  update.overlong_share = 0.2;
  update.overlong_factor = 1;
  refill_rounds = 10;
}

template <class E>
std::string name_of(E value) {
  for (const auto& [candidate, name] : enum_table(E{})) {
    if (candidate == value) return name;
  }
  return "?";
}

template <class E>
void require(PolicyMethod method, const char* field, E value, E expected) {
  if (value == expected) return;
  throw InputError(
      fmt::format("{}: expected {} with method = {}, got {} (method = custom has none "
                  "of its own)",
                  field, name_of(expected), name_of(method), name_of(value)));
}

}  // namespace

EnumTable<PolicyMethod> enum_table(PolicyMethod) {
  return {{PolicyMethod::kCustom, "custom"},  {PolicyMethod::kGrpo, "grpo"},
          {PolicyMethod::kDrGrpo, "dr_grpo"}, {PolicyMethod::kDapo, "dapo"},
          {PolicyMethod::kGspo, "gspo"},      {PolicyMethod::kCispo, "cispo"},
          {PolicyMethod::kRloo, "rloo"},      {PolicyMethod::kReinforcePlusPlus, "reinforce++"}};
}

void apply_method(PolicyMethod method, PolicyUpdateOptions& update, int64_t& refill_rounds) {
  PolicyLossOptions& loss = update.loss;
  switch (method) {
    case PolicyMethod::kCustom:
      break;
    case PolicyMethod::kGrpo:
      update.advantage = AdvantageKind::kNormalized;
      loss.mean = TokenMean::kPerSequence;
      set_bounds(loss, 0.2, 0.2);
      set_kl(loss, KlKind::kK3, KlPlace::kLoss);
      break;
    case PolicyMethod::kDrGrpo:
      update.advantage = AdvantageKind::kCentered;
      loss.mean = TokenMean::kConstant;
      set_bounds(loss, 0.2, 0.2);
      set_kl(loss, KlKind::kK3, KlPlace::kLoss);
      break;
    case PolicyMethod::kDapo:
      apply_dapo(update, refill_rounds);
      break;
    case PolicyMethod::kGspo:
      update.advantage = AdvantageKind::kNormalized;
      loss.ratio = RatioLevel::kSequence;
      loss.mean = TokenMean::kPerSequence;
      set_bounds(loss, 3e-4, 4e-4);
      break;
    case PolicyMethod::kCispo:
      update.advantage = AdvantageKind::kNormalized;
      loss.surrogate = Surrogate::kCispo;
      loss.mean = TokenMean::kPerBatch;
      set_bounds(loss, 1, 4);
      break;
    case PolicyMethod::kRloo:
      update.advantage = AdvantageKind::kLeaveOneOut;
      loss.mean = TokenMean::kConstant;
      loss.mean_tokens = 1;
      set_bounds(loss, 0.2, 0.2);
      set_kl(loss, KlKind::kK1, KlPlace::kReward);
      break;
    case PolicyMethod::kReinforcePlusPlus:
      update.advantage = AdvantageKind::kWhitened;
      loss.mean = TokenMean::kPerBatch;
      set_bounds(loss, 0.2, 0.2);
      set_kl(loss, KlKind::kK2, KlPlace::kLoss);
      break;
  }
}

void check_method(PolicyMethod method, const PolicyUpdateOptions& update) {
  const auto advantage = [&](AdvantageKind expected) {
    require(method, "update.advantage", update.advantage, expected);
  };
  const auto mean = [&](TokenMean expected) {
    require(method, "update.loss.mean", update.loss.mean, expected);
  };
  switch (method) {
    case PolicyMethod::kCustom:
      break;
    case PolicyMethod::kGrpo:
      advantage(AdvantageKind::kNormalized);
      break;
    case PolicyMethod::kDrGrpo:
      advantage(AdvantageKind::kCentered);
      mean(TokenMean::kConstant);
      break;
    case PolicyMethod::kDapo:
      mean(TokenMean::kPerBatch);
      break;
    case PolicyMethod::kGspo:
      require(method, "update.loss.ratio", update.loss.ratio, RatioLevel::kSequence);
      break;
    case PolicyMethod::kCispo:
      require(method, "update.loss.surrogate", update.loss.surrogate, Surrogate::kCispo);
      break;
    case PolicyMethod::kRloo:
      advantage(AdvantageKind::kLeaveOneOut);
      break;
    case PolicyMethod::kReinforcePlusPlus:
      advantage(AdvantageKind::kWhitened);
      break;
  }
}

}  // namespace weft
