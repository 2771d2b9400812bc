/// What the requests to a model have cost, and what those under way may still cost.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "model/remote/remote_options.h"
#include "model/text_model.h"

namespace weft {

/// Thread-safe.
class Spending {
 public:
  explicit Spending(const RemoteModelOptions& options) : options_(options) {}  ///< borrows

  /// Tokens that a request may take: the prompt's estimated at four bytes a token where it is text,
  /// `num_choices` times max_tokens of completion.
  struct Claim {
    int64_t prompt_tokens = 0;
    int64_t completion_tokens = 0;
  };
  static Claim claim_of(const TextRequest& request, int num_choices);

  /// Sets the claim aside. Returns why it does not fit the budget; empty when it does.
  std::string reserve(const Claim& claim);
  void release(const Claim& claim);

  /// Counts what an answer cost.
  void add(const TextUsage& usage);
  TextUsage total() const;

  /// Why nothing more may be asked for; empty while there is something left.
  std::string spent() const;

 private:
  double price_of(const Claim& claim) const;

  const RemoteModelOptions& options_;
  mutable std::mutex mutex_;
  TextUsage total_;
  Claim reserved_;
};

}  // namespace weft
