#include "model/engine/sequence.h"

#include <algorithm>

namespace weft {

CompletionBuilder::CompletionBuilder(const TextRequest& request, int choice,
                                     const Tokenizer* tokenizer,
                                     const std::vector<int32_t>& eos_ids, int64_t max_tokens)
    : request_(request), eos_ids_(eos_ids), choice_(choice), max_tokens_(max_tokens) {
  const SamplingParams& s = request.sampling;
  differs_ = s.temperature != 1 || s.top_k > 0 || s.top_p < 1 || s.min_p > 0;
  if (tokenizer) decoder_.emplace(*tokenizer, /*skip_special=*/true);
}

bool CompletionBuilder::push(const kernels::SampleResult& sample) {
  const auto id = static_cast<int32_t>(sample.id);
  completion_.ids.push_back(id);
  completion_.logprobs.push_back(sample.logprob);
  if (differs_) completion_.sampling_logprobs.push_back(sample.sampling_logprob);
  const bool is_eos = std::find(eos_ids_.begin(), eos_ids_.end(), id) != eos_ids_.end();
  if (is_eos && !request_.sampling.ignore_eos) {
    finish(FinishReason::kStop);
    return true;
  }
  if (decoder_) {
    const std::string piece = decoder_->push(id);
    text_ends_.push_back(decoder_->inside_character() ? std::string::npos
                                                      : completion_.text.size() + piece.size());
    add_text(piece);
  }
  if (!ended_ && static_cast<int64_t>(completion_.ids.size()) >= max_tokens_) {
    finish(FinishReason::kLength);
  }
  if (!ended_) emit(completion_.text.size() - held_back());
  return ended_;
}

size_t CompletionBuilder::ids_before_stop() const {
  if (!cut_) return completion_.ids.size();
  size_t kept = text_ends_.size();
  while (kept > 0 && text_ends_[kept - 1] > completion_.text.size()) --kept;
  return kept;
}

Completion CompletionBuilder::take() { return std::move(completion_); }

void CompletionBuilder::add_text(const std::string& piece) {
  const size_t before = completion_.text.size();
  completion_.text += piece;
  if (cut_at_stop(before)) {
    completion_.finish = FinishReason::kStop;
    ended_ = true;
    emit(completion_.text.size());
  }
}

// Cuts the text at the first stop string that ends after `searched`.
bool CompletionBuilder::cut_at_stop(size_t searched) {
  size_t first = std::string::npos;
  for (const std::string& stop : request_.sampling.stop) {
    if (stop.empty()) continue;
    const size_t from = searched >= stop.size() ? searched - stop.size() + 1 : 0;
    first = std::min(first, completion_.text.find(stop, from));
  }
  if (first == std::string::npos) return false;
  completion_.text.resize(first);
  cut_ = true;
  return true;
}

// Length of the longest end of the text that may grow into a stop string.
size_t CompletionBuilder::held_back() const {
  const std::string& text = completion_.text;
  size_t longest = 0;
  for (const std::string& stop : request_.sampling.stop) {
    if (stop.empty()) continue;
    for (size_t n = std::min(stop.size() - 1, text.size()); n > longest; --n) {
      if (text.compare(text.size() - n, n, stop, 0, n) == 0) longest = n;
    }
  }
  return longest;
}

void CompletionBuilder::finish(FinishReason reason) {
  const size_t before = completion_.text.size();
  if (decoder_) completion_.text += decoder_->flush();
  if (cut_at_stop(before)) reason = FinishReason::kStop;
  completion_.finish = reason;
  ended_ = true;
  emit(completion_.text.size());
}

void CompletionBuilder::emit(size_t end) {
  if (!request_.on_delta) return;
  StreamDelta delta;
  delta.choice = choice_;
  if (end > emitted_text_) delta.text = completion_.text.substr(emitted_text_, end - emitted_text_);
  if (!ended_ && delta.text.empty()) return;
  delta.ids.assign(completion_.ids.begin() + emitted_ids_, completion_.ids.end());
  delta.logprobs.assign(completion_.logprobs.begin() + emitted_ids_, completion_.logprobs.end());
  emitted_text_ = std::max(emitted_text_, end);
  emitted_ids_ = completion_.ids.size();
  if (!delta.ids.empty()) request_.on_delta(delta);
}

}  // namespace weft
