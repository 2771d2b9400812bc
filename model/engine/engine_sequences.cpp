#include "model/engine/engine_sequences.h"

#include <latch>

#include "base/error.h"
#include "model/engine/engine.h"
#include "model/engine/engine_request.h"

namespace weft {

SequenceId EngineSequences::open(std::vector<int32_t> ids, const std::string& adapter) {
  TextRequest probe;
  probe.prompt = ids;
  probe.sampling.max_tokens = 1;
  probe.adapter = adapter;
  const std::string error = engine_.refusal(probe);
  if (!error.empty()) throw InputError(error);
  return sequences_.add({std::move(ids), adapter, nullptr});
}

std::vector<TextResponse> EngineSequences::extend(const std::vector<Extension>& extensions) {
  require_distinct(extensions);
  std::vector<std::unique_ptr<EngineRequest>> requests;
  std::vector<TextResponse> responses(extensions.size());
  std::latch pending(std::ssize(extensions));
  std::vector<std::shared_ptr<HeldText>> longer;
  for (size_t i = 0; i < extensions.size(); ++i) {
    const EngineSequence sequence = sequences_.get(extensions[i].sequence);
    longer.push_back(engine_.make_held_text());
    auto request = std::make_unique<EngineRequest>();
    request->request.prompt = sequence.ids;
    request->request.sampling = extensions[i].sampling;
    request->request.adapter = sequence.adapter;
    request->begins_with = sequence.held;
    request->hold_as = longer.back();
    request->done = [&, i](TextResponse response) {
      responses[i] = std::move(response);
      pending.count_down();
    };
    requests.push_back(std::move(request));
  }
  engine_.submit_prepared(std::move(requests));
  pending.wait();
  for (size_t i = 0; i < extensions.size(); ++i) {
    if (responses[i].status != ResponseStatus::kOk) continue;
    const auto& sampled = responses[i].choices[0].ids;
    const auto kept = static_cast<std::ptrdiff_t>(longer[i]->num_sampled);
    EngineSequence sequence = sequences_.get(extensions[i].sequence);
    sequence.ids.insert(sequence.ids.end(), sampled.begin(), sampled.begin() + kept);
    sequence.held = longer[i];
    sequences_.set(extensions[i].sequence, std::move(sequence));
  }
  return responses;
}

std::vector<std::vector<float>> EngineSequences::logprobs(const std::vector<Continuation>& texts) {
  std::vector<LogprobRequest> requests;
  for (const Continuation& text : texts) {
    EngineSequence sequence = sequences_.get(text.sequence);
    requests.push_back({std::move(sequence.ids), text.ids, std::move(sequence.adapter)});
  }
  return engine_.logprobs(requests);
}

}  // namespace weft
