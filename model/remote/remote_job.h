/// A request on its way through a RemoteModel.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "model/remote/spending.h"
#include "model/remote/transfer.h"
#include "model/remote/wire.h"
#include "model/text_model.h"

namespace weft {

/// Of the model's thread alone.
struct RemoteJob {
  TextRequest request;
  WireRequest wire;
  std::function<void(TextResponse)> done;
  std::chrono::steady_clock::time_point not_before{};
  int attempts = 0;       ///< since the last usable answer
  int endpoint = -1;      ///< of the attempt under way, or of the last one
  int num_choices = 0;    ///< to be gathered: one where all would be the same
  TextResponse gathered;  ///< choices that are there, and what all attempts cost
  Spending::Claim claim;
  bool reserved = false;          ///< the claim is set aside
  bool waits_for_budget = false;  ///< until a request under way has ended
  bool lowered = false;           ///< to what a budget leaves
  std::string redirect;           ///< where the server sent the attempt under way
  int num_redirects = 0;
  std::unique_ptr<Transfer> transfer;

  bool is_cancelled() const { return request.cancelled && request.cancelled->load(); }
};

}  // namespace weft
