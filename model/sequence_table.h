/// What implementations of SequenceModel share: held sequences by id.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "base/error.h"
#include "model/sequence_model.h"

namespace weft {

/// Sequences of type S, handed out as copies. Methods may be called from any thread and throw
/// InputError for an id that is not held.
template <class S>
class SequenceTable {
 public:
  SequenceId add(S sequence) {
    const std::lock_guard lock(mutex_);
    const auto id = static_cast<SequenceId>(++last_id_);
    sequences_.emplace(id, std::move(sequence));
    return id;
  }

  S get(SequenceId id) const {
    const std::lock_guard lock(mutex_);
    return find(sequences_, id)->second;
  }

  void set(SequenceId id, S sequence) {
    const std::lock_guard lock(mutex_);
    find(sequences_, id)->second = std::move(sequence);
  }

  void erase(SequenceId id) {
    const std::lock_guard lock(mutex_);
    sequences_.erase(find(sequences_, id));
  }

 private:
  template <class Map>
  static auto find(Map& sequences, SequenceId id) {
    const auto found = sequences.find(id);
    if (found == sequences.end()) {
      throw InputError("sequence " + std::to_string(static_cast<int64_t>(id)) + " is not held");
    }
    return found;
  }

  mutable std::mutex mutex_;
  std::map<SequenceId, S> sequences_;
  int64_t last_id_ = 0;
};

/// What is the same whoever computes. S has `ids`; forks are copies of S.
template <class S>
class HeldSequences : public SequenceModel {
 public:
  SequenceId fork(SequenceId sequence) override { return sequences_.add(sequences_.get(sequence)); }

  void append(SequenceId sequence, const std::vector<int32_t>& ids) override {
    S longer = sequences_.get(sequence);
    longer.ids.insert(longer.ids.end(), ids.begin(), ids.end());
    sequences_.set(sequence, std::move(longer));
  }

  std::vector<int32_t> ids(SequenceId sequence) const override {
    return sequences_.get(sequence).ids;
  }

  void release(SequenceId sequence) override { sequences_.erase(sequence); }

 protected:
  SequenceTable<S> sequences_;
};

/// Throws InputError for a sequence that is named twice.
void require_distinct(const std::vector<SequenceModel::Extension>& extensions);

}  // namespace weft
