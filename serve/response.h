/// OpenAI's answer bodies and stream chunks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/text_model.h"
#include "model/tokenizer/tokenizer.h"
#include "serve/request.h"

namespace weft {

/// What all bodies of one answer share.
struct AnswerHead {
  std::string id;       ///< "chatcmpl-..." or "cmpl-..."
  int64_t created = 0;  ///< seconds since 1970
  std::string model;
};

/// Token counts of all prompts of a request.
struct AnswerUsage {
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t cached_tokens = 0;  ///< of the prompts
};
Json to_json(const AnswerUsage& usage);

/// Writes the bodies. Without a tokenizer (a remote model) tokens in logprobs are empty texts.
/// logprobs are natural logarithms of the raw distribution at the sampled tokens; -9999 stands for
/// minus infinity; top_logprobs holds the sampled token alone. text_offset counts characters from
/// the beginning of the choice, over all chunks of a stream.
class AnswerWriter {
 public:
  AnswerWriter(const GenerationCall& call, AnswerHead head, const Tokenizer* tokenizer)
      : call_(call), head_(std::move(head)), tokenizer_(tokenizer) {}

  /// The whole answer; responses in the order of the prompts.
  /// choice index = prompt index * n + sample index.
  Json whole(const std::vector<TextResponse>& responses) const;

  /// Chat only: the chunk that opens a choice.
  Json opening_chunk(int index) const;
  Json delta_chunk(int index, const StreamDelta& delta);
  Json closing_chunk(int index, FinishReason finish) const;
  /// choices [], with the usage.
  Json usage_chunk(const AnswerUsage& usage) const;

 private:
  /// `offset` is that of the first token; left at that of the next.
  Json logprobs(const std::vector<int32_t>& ids, const std::vector<float>& values,
                int64_t& offset) const;
  Json chunk(Json choice) const;
  Json choice_of(const Completion& completion, int index,
                 const std::vector<int32_t>& prompt_ids) const;

  const GenerationCall& call_;
  AnswerHead head_;
  const Tokenizer* tokenizer_;
  std::map<int, int64_t> offsets_;  ///< by choice, of the next streamed token
};

/// Sum over responses.
AnswerUsage usage_of(const std::vector<TextResponse>& responses);

/// An id like "chatcmpl-5f0c...": prefix and 24 hexadecimal digits, different for every call.
std::string new_id(const std::string& prefix);

/// Seconds since 1970.
int64_t unix_time();

/// One event of a server-sent stream: "data: " + JSON + two newlines.
std::string sse_event(const Json& json);

}  // namespace weft
