/// Which requests are being answered: counted, limited, and cancelled at the end.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>

#include "model/text_model.h"

namespace weft {

/// Any thread. Outlives its tickets.
class Admissions {
 public:
  /// While it lives, its request counts as being answered.
  class Ticket {
   public:
    Ticket(Admissions& owner, CancelFlag flag) : owner_(owner), flag_(std::move(flag)) {}
    ~Ticket() { owner_.leave(flag_); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    /// Set when the server gives the request up.
    const CancelFlag& cancelled() const { return flag_; }

   private:
    Admissions& owner_;
    CancelFlag flag_;
  };

  explicit Admissions(int most) : most_(static_cast<size_t>(most)) {}

  /// Throws ApiError 429 when as many as allowed are being answered, 503 when draining.
  std::shared_ptr<Ticket> enter();

  /// Lets nobody in any more; waits up to `seconds` for those inside, then cancels them and waits
  /// up to 10 s more. True when nobody had to be cancelled.
  bool drain(double seconds);

  bool draining() const;
  int64_t count() const;

 private:
  void leave(const CancelFlag& flag);

  const size_t most_;
  mutable std::mutex mutex_;
  std::condition_variable left_;
  std::set<CancelFlag> flags_;
  bool draining_ = false;
};

}  // namespace weft
