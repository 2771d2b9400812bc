/// Sequences of tokens that a model holds: grown by sampling, forked, released; logprobs of what
/// may follow. What search over steps and groups of rollouts need, and no HTTP server offers. Free
/// of LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/text_model.h"

namespace weft {

/// Names a held sequence; never given twice by one model.
enum class SequenceId : int64_t {};

/// All methods may be called from any thread, those on one sequence from one thread at a time. They
/// throw InputError for an id that is not held.
class SequenceModel {
 public:
  virtual ~SequenceModel() = default;

  /// Holds these ids, at least one, under a loaded adapter (empty: the base weights). Computes
  /// nothing yet. Throws InputError where a request with this prompt would be refused.
  virtual SequenceId open(std::vector<int32_t> ids, const std::string& adapter = {}) = 0;

  /// Another sequence of the same ids. Costs nothing: what was computed is shared until one of them
  /// is extended.
  virtual SequenceId fork(SequenceId sequence) = 0;

  /// Adds given ids at the end.
  virtual void append(SequenceId sequence, const std::vector<int32_t>& ids) = 0;

  struct Extension {
    SequenceId sequence;
    SamplingParams sampling;
  };
  /// Samples on from each sequence, all at once, each from the stream of its own seed. Afterwards a
  /// sequence whose response is kOk ends with the sampled ids; where a stop string ended it, with
  /// those of them whose text lies wholly before that string, so that what follows can be sampled
  /// again from the boundary. Other sequences stay as they were. Throws InputError for a sequence
  /// that is named twice.
  virtual std::vector<TextResponse> extend(const std::vector<Extension>& extensions) = 0;

  struct Continuation {
    SequenceId sequence;
    std::vector<int32_t> ids;
  };
  /// log p(ids[i] | sequence, ids[:i]) in fp32, [ids] for each; changes no sequence.
  virtual std::vector<std::vector<float>> logprobs(const std::vector<Continuation>& texts) = 0;

  virtual std::vector<int32_t> ids(SequenceId sequence) const = 0;

  virtual void release(SequenceId sequence) = 0;
};

}  // namespace weft
