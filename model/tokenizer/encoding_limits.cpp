#include "model/tokenizer/encoding_limits.h"

#include <algorithm>

#include "base/error.h"

namespace weft {
namespace {

EncodingLimits::Side read_side(const Json& json, const std::string& where) {
  const auto name = get_field_or<std::string>(json, "direction", "Right", where);
  if (name == "Left") return EncodingLimits::Side::kLeft;
  if (name == "Right") return EncodingLimits::Side::kRight;
  throw InputError(where + ".direction: expected Left or Right, got \"" + name + "\"");
}

int64_t read_length(const Json& json, const char* key, int64_t least, const std::string& where) {
  const auto length = get_field<int64_t>(json, key, where);
  if (length >= least && length < (int64_t{1} << 31)) return length;
  throw InputError(where + "." + key + ": expected an integer from " + std::to_string(least) +
                   ", got " + std::to_string(length));
}

void read_truncation(const Json& json, int64_t num_added, const std::string& where,
                     EncodingLimits& limits) {
  limits.max_length = read_length(json, "max_length", num_added, where);
  limits.truncated = read_side(json, where);
  const auto strategy = get_field_or<std::string>(json, "strategy", "LongestFirst", where);
  if (strategy != "LongestFirst" && strategy != "OnlyFirst") {
    throw InputError(where + ".strategy: expected LongestFirst or OnlyFirst, got \"" + strategy +
                     "\"");
  }
  const auto stride = get_field_or<int64_t>(json, "stride", 0, where);
  if (stride < 0 || (stride > 0 && stride >= *limits.max_length - num_added)) {
    throw InputError(where + ".stride: expected less than what max_length leaves, got " +
                     std::to_string(stride));
  }
}

void read_padding(const Json& json, const std::string& where, EncodingLimits& limits) {
  limits.pads = true;
  limits.padded = read_side(json, where);
  limits.pad_id = get_field<int>(json, "pad_id", where);
  const Json strategy = get_field<Json>(json, "strategy", where);
  if (strategy.is_object()) {
    limits.padded_length = read_length(strategy, "Fixed", 0, where + ".strategy");
  } else if (strategy != "BatchLongest") {
    throw InputError(where + ".strategy: expected BatchLongest or {\"Fixed\": n}, got " +
                     dump_json(strategy));
  }
  if (json.contains("pad_to_multiple_of") && !json["pad_to_multiple_of"].is_null()) {
    limits.multiple_of = std::max<int64_t>(read_length(json, "pad_to_multiple_of", 0, where), 1);
  }
}

}  // namespace

EncodingLimits EncodingLimits::from_json(const Json& truncation, const Json& padding,
                                         int64_t num_added, const std::string& where) {
  EncodingLimits limits;
  if (!truncation.is_null()) read_truncation(truncation, num_added, where + "truncation", limits);
  if (!padding.is_null()) read_padding(padding, where + "padding", limits);
  return limits;
}

std::vector<int32_t> EncodingLimits::applied(std::vector<int32_t> ids, int64_t num_prefix,
                                             int64_t num_suffix) const {
  const int64_t excess = max_length ? std::ssize(ids) - *max_length : 0;
  if (excess > 0) {
    const auto end =
        truncated == Side::kRight ? ids.end() - num_suffix : ids.begin() + num_prefix + excess;
    ids.erase(end - excess, end);
  }
  if (!pads) return ids;
  int64_t wanted = std::max(std::ssize(ids), padded_length);
  wanted += (multiple_of - wanted % multiple_of) % multiple_of;
  const auto missing = static_cast<size_t>(wanted - std::ssize(ids));
  ids.insert(padded == Side::kLeft ? ids.begin() : ids.end(), missing, pad_id);
  return ids;
}

}  // namespace weft
