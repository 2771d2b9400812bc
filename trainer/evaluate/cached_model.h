/// A model whose replies are kept, so that what was asked before is not asked again: a method added
/// to an evaluation later pays for itself alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "model/text_model.h"

namespace weft {

/// Replies by the SHA-256 of what was asked, in FOLDER/replies.log: one line each, its checksum
/// (hash64 in hexadecimal digits), a space and {"key", "reply"}. Lines are only added, by one write
/// each, so that several processes may share a folder; each sees what was there when it opened it
/// and what it added. Memory holds places, not replies. Thread-safe.
class ReplyCache {
 public:
  /// Opens the folder or makes it. Lines that are torn or damaged are left out and counted in the
  /// log. Throws InputError where the folder cannot be made or the file not be read.
  explicit ReplyCache(const std::filesystem::path& folder);
  ~ReplyCache();
  ReplyCache(const ReplyCache&) = delete;
  ReplyCache& operator=(const ReplyCache&) = delete;

  /// The reply kept under `key`; none where there is none or it cannot be read any more.
  std::optional<Json> find(const std::string& key) const;

  /// Keeps a reply unless the key has one. Where it cannot be written (a full disk) that is said
  /// once, and from then on nothing is kept.
  void put(const std::string& key, const Json& reply);

 private:
  struct Place {
    int64_t offset = 0;  ///< of the line's first byte
    int64_t size = 0;    ///< without its newline
  };
  void read_index();
  std::optional<std::string> line_at(Place place) const;

  const std::string name_;
  int fd_ = -1;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Place> places_;
  bool begins_anew_ = false;  ///< the file does not end with a newline
  bool gave_up_ = false;
};

/// What a cache saved.
struct CacheUse {
  int64_t replies = 0;                               ///< completions that were there
  int64_t asked = 0;                                 ///< completions that the model was asked for
  int64_t prompt_tokens = 0, completion_tokens = 0;  ///< of the former: not computed, not paid
  double usd = 0;
};

/// Each completion is kept under the model's name and revision, the adapter, the prompt (ids, text
/// or messages), every sampling parameter with the seed, and its index among the request's; a
/// request of which all are there is answered on the caller's thread before submit() returns, as a
/// refused one is. What is asked for as a stream, with logprobs of the prompt, or was lowered by a
/// budget is neither looked up nor kept.
///
/// A kept reply says what it cost when it was made: methods are compared by what they take, and a
/// workflow's budget ends it at the same place. What was not paid this time is in use().
///
/// Thread-safe; borrows the model. May be destroyed before its requests have come back.
class CachedModel : public TextModel {
 public:
  /// `revision` is whatever tells two models of one name apart, such as a checksum of the weights.
  CachedModel(TextModel& model, std::shared_ptr<ReplyCache> cache, std::string revision);

  void submit(TextRequest request, std::function<void(TextResponse)> done) override;
  void submit_all(std::vector<Submission> submissions) override;
  std::string name() const override { return model_.name(); }
  TextPrice price() const override { return model_.price(); }

  CacheUse use() const;

 private:
  std::vector<std::string> keys_of(const TextRequest& request) const;
  /// Takes what is there, or returns the request with a callback that keeps what comes.
  std::optional<Submission> answer_or_pass_on(TextRequest request,
                                              std::function<void(TextResponse)> done);
  std::optional<TextResponse> kept(const std::vector<std::string>& keys);

  TextModel& model_;
  std::shared_ptr<ReplyCache> cache_;  ///< requests under way keep it too
  const std::string revision_;
  mutable std::mutex mutex_;
  CacheUse use_;
};

}  // namespace weft
