#include "model/engine/engine_sequences.h"

#include <latch>
#include <set>

#include "base/error.h"
#include "model/engine/engine.h"
#include "model/engine/scheduler.h"

namespace weft {

SequenceId EngineSequences::add(Sequence sequence) {
  const std::lock_guard lock(mutex_);
  const auto id = static_cast<SequenceId>(++last_id_);
  sequences_[id] = std::move(sequence);
  return id;
}

EngineSequences::Sequence EngineSequences::copy(SequenceId sequence) const {
  const std::lock_guard lock(mutex_);
  const auto found = sequences_.find(sequence);
  if (found == sequences_.end()) {
    throw InputError("sequence " + std::to_string(static_cast<int64_t>(sequence)) + " is not held");
  }
  return found->second;
}

SequenceId EngineSequences::open(std::vector<int32_t> ids, const std::string& adapter) {
  TextRequest probe;
  probe.prompt = ids;
  probe.sampling.max_tokens = 1;
  probe.adapter = adapter;
  const std::string error = engine_.refusal(probe);
  if (!error.empty()) throw InputError(error);
  return add({std::move(ids), adapter, nullptr});
}

SequenceId EngineSequences::fork(SequenceId sequence) { return add(copy(sequence)); }

void EngineSequences::append(SequenceId sequence, const std::vector<int32_t>& ids) {
  Sequence longer = copy(sequence);
  longer.ids.insert(longer.ids.end(), ids.begin(), ids.end());
  const std::lock_guard lock(mutex_);
  sequences_[sequence] = std::move(longer);
}

std::vector<TextResponse> EngineSequences::extend(const std::vector<Extension>& extensions) {
  std::vector<std::unique_ptr<EngineRequest>> requests;
  std::vector<TextResponse> responses(extensions.size());
  std::latch pending(std::ssize(extensions));
  std::vector<std::shared_ptr<HeldText>> longer;
  std::set<SequenceId> named;
  for (size_t i = 0; i < extensions.size(); ++i) {
    if (!named.insert(extensions[i].sequence).second) {
      throw InputError("sequence " + std::to_string(static_cast<int64_t>(extensions[i].sequence)) +
                       " is named twice");
    }
    const Sequence sequence = copy(extensions[i].sequence);
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
    const std::lock_guard lock(mutex_);
    Sequence& sequence = sequences_.at(extensions[i].sequence);
    sequence.ids.insert(sequence.ids.end(), sampled.begin(), sampled.begin() + kept);
    sequence.held = longer[i];
  }
  return responses;
}

std::vector<std::vector<float>> EngineSequences::score(const std::vector<Continuation>& texts) {
  std::vector<ScoreRequest> requests;
  for (const Continuation& text : texts) {
    Sequence sequence = copy(text.sequence);
    requests.push_back({std::move(sequence.ids), text.ids, std::move(sequence.adapter)});
  }
  return engine_.score(requests);
}

std::vector<int32_t> EngineSequences::ids(SequenceId sequence) const { return copy(sequence).ids; }

void EngineSequences::release(SequenceId sequence) {
  copy(sequence);
  const std::lock_guard lock(mutex_);
  sequences_.erase(sequence);
}

}  // namespace weft
