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

  /// Tokens that a request may take: the prompt's (estimated_prompt_tokens), and max_tokens for
  /// each of its choices.
  struct Claim {
    int64_t prompt_tokens = 0;
    int64_t completion_tokens = 0;
  };

  /// Sets aside what the request, with `num_choices` completions, may take. Where the budget has no
  /// room for it and nothing is under way, its max_tokens are lowered to what is left.
  struct Reservation {
    enum class Kind {
      kReserved,
      kLowered,  ///< reserved with fewer max_tokens
      kLater,    ///< to be tried again when something under way has ended
      kSpent,    ///< less is left than a token for each choice
    };
    Kind kind = Kind::kReserved;
    Claim claim;
    std::string error;  ///< of kSpent
  };
  Reservation reserve(TextRequest& request, int num_choices);
  void release(const Claim& claim);

  /// Counts what an answer cost.
  void add(const TextUsage& usage);
  TextUsage total() const;

  TextPrice price() const { return {options_.usd_per_mtok_in, options_.usd_per_mtok_out}; }

  /// Why nothing more may be asked for; empty while there is something left.
  std::string spent() const;

 private:
  TextAllowance left_locked() const;

  const RemoteModelOptions& options_;
  mutable std::mutex mutex_;
  TextUsage total_;
  Claim reserved_;
};

}  // namespace weft
