#include "model/remote/spending.h"

#include <fmt/format.h>

namespace weft {
TextAllowance Spending::left_locked() const {
  TextAllowance left;
  if (options_.max_total_tokens > 0) {
    left.tokens = options_.max_total_tokens - total_.prompt_tokens - total_.completion_tokens -
                  reserved_.prompt_tokens - reserved_.completion_tokens;
  }
  if (options_.max_total_usd > 0) {
    left.usd = options_.max_total_usd - total_.usd -
               price().of(reserved_.prompt_tokens, reserved_.completion_tokens);
  }
  return left;
}

Spending::Reservation Spending::reserve(TextRequest& request, int num_choices) {
  const std::lock_guard lock(mutex_);
  TextRequest fitted = request;
  fitted.n = num_choices;
  fitted.allowance = left_locked();
  Reservation result;
  try {
    if (fit_to_allowance(fitted, estimated_prompt_tokens(request), price())) {
      result.kind =
          fitted.n == num_choices ? Reservation::Kind::kLowered : Reservation::Kind::kSpent;
    }
  } catch (const BudgetError&) {
    result.kind = Reservation::Kind::kSpent;
  }
  const bool any_under_way = reserved_.prompt_tokens + reserved_.completion_tokens > 0;
  if (result.kind != Reservation::Kind::kReserved && any_under_way) {
    return {Reservation::Kind::kLater, {}, {}};
  }
  if (result.kind == Reservation::Kind::kSpent) {
    result.error = fmt::format(
        "budget: {} tokens and {:.4f} usd spent of max_total_tokens {} and max_total_usd {:.4f}: "
        "no "
        "token is left for each choice of this request",
        total_.prompt_tokens + total_.completion_tokens, total_.usd, options_.max_total_tokens,
        options_.max_total_usd);
    return result;
  }
  request.sampling.max_tokens = fitted.sampling.max_tokens;
  result.claim = {estimated_prompt_tokens(request),
                  int64_t{num_choices} * request.sampling.max_tokens};
  reserved_.prompt_tokens += result.claim.prompt_tokens;
  reserved_.completion_tokens += result.claim.completion_tokens;
  return result;
}

void Spending::release(const Claim& claim) {
  const std::lock_guard lock(mutex_);
  reserved_.prompt_tokens -= claim.prompt_tokens;
  reserved_.completion_tokens -= claim.completion_tokens;
}

void Spending::add(const TextUsage& usage) {
  const std::lock_guard lock(mutex_);
  total_.add(usage);
}

TextUsage Spending::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

std::string Spending::spent() const {
  const std::lock_guard lock(mutex_);
  const int64_t tokens = total_.prompt_tokens + total_.completion_tokens;
  if (options_.max_total_tokens > 0 && tokens >= options_.max_total_tokens) {
    return fmt::format("token budget: {} spent of max_total_tokens {}", tokens,
                       options_.max_total_tokens);
  }
  if (options_.max_total_usd > 0 && total_.usd >= options_.max_total_usd) {
    return fmt::format("money budget: {:.4f} usd spent of max_total_usd {:.4f}", total_.usd,
                       options_.max_total_usd);
  }
  return {};
}

}  // namespace weft
