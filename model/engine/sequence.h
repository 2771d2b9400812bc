/// One completion while it is decoded: ids, text, stop conditions. Used by the engine's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/ops/cpu/kernel_table.h"
#include "model/text_model.h"
#include "model/tokenizer/tokenizer.h"

namespace weft {

/// Turns sampled ids into a Completion and its stream of deltas.
class CompletionBuilder {
 public:
  /// `tokenizer` may be null: texts are then empty and stop strings never match.
  CompletionBuilder(const TextRequest& request, int choice, const Tokenizer* tokenizer,
                    const std::vector<int32_t>& eos_ids, int64_t max_tokens);

  /// Adds a sampled id; true when the completion has ended.
  bool push(const kernels::SampleResult& sample);

  /// How many of the ids have their text wholly before the stop string that ended the completion:
  /// all of them where none did.
  size_t ids_before_stop() const;

  const Completion& completion() const { return completion_; }
  Completion take();

 private:
  void add_text(const std::string& piece);
  bool cut_at_stop(size_t searched);
  size_t held_back() const;
  void finish(FinishReason reason);
  void emit(size_t end);

  const TextRequest& request_;
  const std::vector<int32_t>& eos_ids_;
  int choice_;
  int64_t max_tokens_;
  bool differs_;
  std::optional<StreamDecoder> decoder_;
  Completion completion_;
  std::vector<size_t> text_ends_;  // text size after each id; npos inside a character
  bool cut_ = false;
  size_t emitted_text_ = 0, emitted_ids_ = 0;
  bool ended_ = false;
};

}  // namespace weft
