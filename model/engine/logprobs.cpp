#include "model/engine/logprobs.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "base/error.h"
#include "model/transformer/decoder_layer.h"

namespace weft {
namespace {

constexpr int64_t kTokensPerPack = 4096;

// Texts of one adapter laid end to end, and which of their next-token logprobs are wanted.
struct LogprobPack {
  std::vector<int64_t> lengths;
  std::vector<int64_t> ids;
  std::vector<int64_t> rows;     // places in `ids`
  std::vector<int64_t> targets;  // the id after each of `rows`
  const Lora* lora = nullptr;
};

int64_t length(const LogprobRequest& r) {
  return static_cast<int64_t>(r.prompt_ids.size() + r.ids.size());
}

LogprobPack make_pack(const std::vector<LogprobRequest>& requests, std::span<const size_t> members,
                      const Lora* lora) {
  LogprobPack pack;
  pack.lora = lora;
  for (size_t i : members) {
    const LogprobRequest& r = requests[i];
    const auto first = static_cast<int64_t>(pack.ids.size() + r.prompt_ids.size()) - 1;
    pack.lengths.push_back(length(r));
    pack.ids.insert(pack.ids.end(), r.prompt_ids.begin(), r.prompt_ids.end());
    pack.ids.insert(pack.ids.end(), r.ids.begin(), r.ids.end());
    for (size_t t = 0; t < r.ids.size(); ++t) {
      pack.rows.push_back(first + static_cast<int64_t>(t));
      pack.targets.push_back(r.ids[t]);
    }
  }
  return pack;
}

// log p(targets | text up to the row), [rows] f32 on the CPU.
at::Tensor logprobs_of_pack(const Transformer& model, const LogprobPack& pack,
                            const StopCheck& stop) {
  const at::Device device = model.device();
  const PackedBatch batch = PackedBatch::from_lengths(pack.lengths);
  const at::Tensor hidden = model.forward(
      index_tensor(pack.ids).to(device), PackedAttention(model, batch),
      adapter_of_all(pack.lora, std::ssize(pack.ids)), index_tensor(pack.rows).to(device), stop);
  return model.token_logprobs(hidden, index_tensor(pack.targets).to(device), stop).cpu();
}

}  // namespace

std::vector<std::vector<float>> packed_logprobs(
    const Transformer& model, const std::vector<LogprobRequest>& requests,
    const std::vector<std::shared_ptr<const Lora>>& adapters, const StopCheck& stop) {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<float>> result(requests.size());
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return adapters[a].get() < adapters[b].get(); });
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    while (end < order.size() && adapters[order[end]] == adapters[order[begin]] &&
           (end == begin || tokens + length(requests[order[end]]) <= kTokensPerPack)) {
      tokens += length(requests[order[end++]]);
    }
    const auto members = std::span(order).subspan(begin, end - begin);
    const at::Tensor logprobs =
        logprobs_of_pack(model, make_pack(requests, members, adapters[order[begin]].get()), stop);
    const float* at = logprobs.const_data_ptr<float>();
    for (size_t i : members) {
      const size_t n = requests[i].ids.size();
      result[i].assign(at, at + n);
      at += n;
      if (std::any_of(result[i].begin(), result[i].end(), [](float x) { return std::isnan(x); })) {
        throw Error("the model's logits are not finite");
      }
    }
    begin = end;
  }
  return result;
}

}  // namespace weft
