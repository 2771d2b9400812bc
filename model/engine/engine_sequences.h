/// Sequences held in an engine's KV cache.
#pragma once

#include <memory>

#include "model/sequence_table.h"

namespace weft {

class Engine;
struct HeldText;

/// A sequence of EngineSequences.
struct EngineSequence {
  std::vector<int32_t> ids;
  std::string adapter;
  std::shared_ptr<HeldText> held;  ///< what the cache has of them; null: nothing
};

/// A fork shares the blocks; the copy of the last, partly filled one is made when a fork is
/// extended. Under pressure the cache lets go of the blocks that were used least recently: such a
/// sequence is computed again when it is next extended. Logprobs are those of Engine::logprobs:
/// they read nothing from the cache, so that they stay equal to the trainer's to the bit.
class EngineSequences : public HeldSequences<EngineSequence> {
 public:
  /// Borrows the engine, which must outlive it.
  explicit EngineSequences(Engine& engine) : engine_(engine) {}

  SequenceId open(std::vector<int32_t> ids, const std::string& adapter = {}) override;
  std::vector<TextResponse> extend(const std::vector<Extension>& extensions) override;
  std::vector<std::vector<float>> logprobs(const std::vector<Continuation>& texts) override;

 private:
  Engine& engine_;
};

}  // namespace weft
