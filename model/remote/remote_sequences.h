/// Sequences of a model behind a server, which keeps nothing of them.
#pragma once

#include "model/sequence_table.h"
#include "model/tokenizer/tokenizer.h"

namespace weft {

/// A sequence of RemoteSequences.
struct RemoteSequence {
  std::vector<int32_t> ids;
  std::string adapter;
};

/// Ids are kept here and sent again for every extension: what is computed anew is up to the
/// server's prefix cache. A fork costs nothing, also there.
///
/// The server has to take prompts as ids and to give ids back (RemoteModelOptions::request_ids;
/// vLLM, Weft): an extension without them is kFailed. `logprobs` needs its prompt_logprobs too
/// (vLLM).
class RemoteSequences : public HeldSequences<RemoteSequence> {
 public:
  /// Borrows both. `tokenizer` is that of the server's model: it says where a stop string begins.
  RemoteSequences(TextModel& model, const Tokenizer& tokenizer)
      : model_(model), tokenizer_(tokenizer) {}

  /// Throws InputError for what can be seen here: no ids, or ids out of range.
  SequenceId open(std::vector<int32_t> ids, const std::string& adapter = {}) override;
  void append(SequenceId sequence, const std::vector<int32_t>& ids) override;
  std::vector<TextResponse> extend(const std::vector<Extension>& extensions) override;
  /// Throws InputError where the server refuses, Error where it fails or gives no such logprobs.
  std::vector<std::vector<float>> logprobs(const std::vector<Continuation>& texts) override;

 private:
  void require_ids(const std::vector<int32_t>& ids) const;

  TextModel& model_;
  const Tokenizer& tokenizer_;
};

}  // namespace weft
