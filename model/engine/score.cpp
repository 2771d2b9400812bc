#include "model/engine/score.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace weft {
namespace {

constexpr int64_t kTokensPerPack = 4096;

int64_t length(const ScoreRequest& r) {
  return static_cast<int64_t>(r.prompt_ids.size() + r.ids.size());
}

void score_pack(const Transformer& model, const std::vector<ScoreRequest>& requests,
                std::span<const size_t> pack, const Lora* lora,
                std::vector<std::vector<float>>& result) {
  std::vector<int64_t> lengths, ids, rows, targets;
  for (size_t i : pack) {
    const ScoreRequest& r = requests[i];
    const auto first = static_cast<int64_t>(ids.size() + r.prompt_ids.size()) - 1;
    lengths.push_back(length(r));
    ids.insert(ids.end(), r.prompt_ids.begin(), r.prompt_ids.end());
    ids.insert(ids.end(), r.ids.begin(), r.ids.end());
    for (size_t t = 0; t < r.ids.size(); ++t) {
      rows.push_back(first + static_cast<int64_t>(t));
      targets.push_back(r.ids[t]);
    }
  }
  const auto tensor = [](const std::vector<int64_t>& values) {
    at::Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
    std::copy(values.begin(), values.end(), t.data_ptr<int64_t>());
    return t;
  };
  const PackedBatch batch = PackedBatch::from_lengths(lengths);
  const at::Tensor hidden = model.forward_hidden(tensor(ids), batch, lora);
  const at::Tensor logprobs =
      model.token_logprobs(at::index_select(hidden, 0, tensor(rows)), tensor(targets));
  const float* at = logprobs.const_data_ptr<float>();
  for (size_t i : pack) {
    const size_t n = requests[i].ids.size();
    result[i].assign(at, at + n);
    at += n;
    if (std::any_of(result[i].begin(), result[i].end(), [](float x) { return std::isnan(x); })) {
      throw Error("the model's logits are not finite");
    }
  }
}

}  // namespace

std::vector<std::vector<float>> score_packed(
    const Transformer& model, const std::vector<ScoreRequest>& requests,
    const std::vector<std::shared_ptr<const Lora>>& adapters) {
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
    score_pack(model, requests, std::span(order).subspan(begin, end - begin),
               adapters[order[begin]].get(), result);
    begin = end;
  }
  return result;
}

}  // namespace weft
