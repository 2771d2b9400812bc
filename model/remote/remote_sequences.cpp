#include "model/remote/remote_sequences.h"

namespace weft {
namespace {

// Why an answer is of no use here; empty if it is.
std::string problem(const TextResponse& response, const std::vector<int32_t>& sent) {
  if (response.status != ResponseStatus::kOk) return response.error;
  const Completion& choice = response.choices.at(0);
  if (choice.ids.empty() && !choice.text.empty()) {
    return "the server gives no token ids (request_ids, return_token_ids)";
  }
  if (!response.prompt_ids.empty() && response.prompt_ids != sent) {
    return "the server changed the prompt: " + std::to_string(sent.size()) + " ids were sent, " +
           std::to_string(response.prompt_ids.size()) + " computed";
  }
  return {};
}

// How many ids have their text wholly within the completion's, which a stop string may have cut.
size_t ids_within_text(const Tokenizer& tokenizer, const Completion& completion) {
  StreamDecoder decoder(tokenizer, /*skip_special=*/true);
  size_t size = 0, kept = 0;
  for (size_t i = 0; i < completion.ids.size(); ++i) {
    size += decoder.push(completion.ids[i]).size();
    if (size <= completion.text.size() && !decoder.inside_character()) kept = i + 1;
  }
  size += decoder.flush().size();
  return size <= completion.text.size() ? completion.ids.size() : kept;
}

}  // namespace

void RemoteSequences::require_ids(const std::vector<int32_t>& ids) const {
  for (const int32_t id : ids) {
    if (id >= 0 && id < tokenizer_.vocab_size()) continue;
    throw InputError("token id " + std::to_string(id) + " is out of range: expected 0 to " +
                     std::to_string(tokenizer_.vocab_size() - 1));
  }
}

SequenceId RemoteSequences::open(std::vector<int32_t> ids, const std::string& adapter) {
  if (ids.empty()) throw InputError("expected at least one token id, got none");
  require_ids(ids);
  return sequences_.add({std::move(ids), adapter});
}

void RemoteSequences::append(SequenceId sequence, const std::vector<int32_t>& ids) {
  require_ids(ids);
  HeldSequences::append(sequence, ids);
}

std::vector<TextResponse> RemoteSequences::extend(const std::vector<Extension>& extensions) {
  require_distinct(extensions);
  std::vector<RemoteSequence> sequences;
  std::vector<TextRequest> requests;
  for (const Extension& extension : extensions) {
    sequences.push_back(sequences_.get(extension.sequence));
    requests.emplace_back();
    requests.back().prompt = sequences.back().ids;
    requests.back().sampling = extension.sampling;
    requests.back().adapter = sequences.back().adapter;
  }
  auto responses = model_.complete_all(std::move(requests));
  for (size_t i = 0; i < extensions.size(); ++i) {
    if (responses[i].status != ResponseStatus::kOk) continue;
    responses[i].error = problem(responses[i], sequences[i].ids);
    if (!responses[i].error.empty()) {
      responses[i].status = ResponseStatus::kFailed;
      continue;
    }
    const Completion& choice = responses[i].choices[0];
    const auto kept = static_cast<std::ptrdiff_t>(ids_within_text(tokenizer_, choice));
    auto& ids = sequences[i].ids;
    ids.insert(ids.end(), choice.ids.begin(), choice.ids.begin() + kept);
    sequences_.set(extensions[i].sequence, std::move(sequences[i]));
  }
  return responses;
}

std::vector<std::vector<float>> RemoteSequences::logprobs(const std::vector<Continuation>& texts) {
  std::vector<std::vector<int32_t>> whole;
  std::vector<TextRequest> requests;
  for (const Continuation& text : texts) {
    require_ids(text.ids);
    const RemoteSequence sequence = sequences_.get(text.sequence);
    whole.push_back(sequence.ids);
    whole.back().insert(whole.back().end(), text.ids.begin(), text.ids.end());
    requests.emplace_back();
    requests.back().prompt = whole.back();
    requests.back().adapter = sequence.adapter;
    requests.back().sampling.max_tokens = 1;  // servers take no 0
    requests.back().prompt_logprobs = true;
  }
  std::vector<std::vector<float>> result;
  const auto responses = model_.complete_all(std::move(requests));
  for (size_t i = 0; i < texts.size(); ++i) {
    const TextResponse& response = responses[i];
    if (response.status == ResponseStatus::kRefused) throw InputError(response.error);
    const std::string error = problem(response, whole[i]);
    if (!error.empty()) throw Error(error);
    const auto& logprobs = response.prompt_logprobs;
    if (logprobs.size() + 1 != whole[i].size()) {
      throw Error("the server gives no prompt_logprobs with ids of the prompt");
    }
    result.emplace_back(logprobs.end() - std::ssize(texts[i].ids), logprobs.end());
  }
  return result;
}

}  // namespace weft
