#include "model/remote/spending.h"

#include <fmt/format.h>

namespace weft {
namespace {

constexpr int64_t kBytesPerToken = 4;

int64_t prompt_tokens(const TextRequest& request) {
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&request.prompt)) {
    return static_cast<int64_t>(ids->size());
  }
  size_t bytes = 0;
  if (const auto* text = std::get_if<std::string>(&request.prompt)) bytes = text->size();
  if (const auto* messages = std::get_if<std::vector<ChatMessage>>(&request.prompt)) {
    for (const ChatMessage& message : *messages) bytes += message.content.size();
  }
  return static_cast<int64_t>(bytes) / kBytesPerToken;
}

}  // namespace

Spending::Claim Spending::claim_of(const TextRequest& request, int num_choices) {
  return {prompt_tokens(request), int64_t{num_choices} * request.sampling.max_tokens};
}

double Spending::price_of(const Claim& claim) const {
  return 1e-6 * (static_cast<double>(claim.prompt_tokens) * options_.usd_per_mtok_in +
                 static_cast<double>(claim.completion_tokens) * options_.usd_per_mtok_out);
}

std::string Spending::reserve(const Claim& claim) {
  const std::lock_guard lock(mutex_);
  const int64_t spent = total_.prompt_tokens + total_.completion_tokens;
  const int64_t under_way = reserved_.prompt_tokens + reserved_.completion_tokens;
  const int64_t wanted = claim.prompt_tokens + claim.completion_tokens;
  if (options_.max_total_tokens > 0 && spent + under_way + wanted > options_.max_total_tokens) {
    return fmt::format(
        "token budget: {} spent and {} under way of max_total_tokens {}; this request may take {}",
        spent, under_way, options_.max_total_tokens, wanted);
  }
  const double usd = total_.usd + price_of(reserved_) + price_of(claim);
  if (options_.max_total_usd > 0 && usd > options_.max_total_usd) {
    return fmt::format(
        "money budget: {:.4f} usd spent of max_total_usd {:.4f}; with the requests under way and "
        "this one it may become {:.4f}",
        total_.usd, options_.max_total_usd, usd);
  }
  reserved_.prompt_tokens += claim.prompt_tokens;
  reserved_.completion_tokens += claim.completion_tokens;
  return {};
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
