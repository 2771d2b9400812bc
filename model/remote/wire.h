/// The body of a request in OpenAI's JSON. Free of network and state.
#pragma once

#include <string>

#include "model/remote/remote_options.h"
#include "model/text_model.h"

namespace weft {

struct WireRequest {
  std::string path;  ///< below the base URL: "/chat/completions" or "/completions"
  std::string body;
  int n = 1;  ///< choices that it asks for: one where greedy choices would all be the same
};

WireRequest encode_request(const TextRequest& request, const RemoteModelOptions& options);

}  // namespace weft
