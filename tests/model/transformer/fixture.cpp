#include "tests/model/transformer/fixture.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <cmath>

#include "model/checkpoint/hf_model.h"
#include "tests/support/support.h"

namespace weft::test {

at::Tensor id_tensor(const std::vector<int64_t>& ids) {
  at::Tensor t = at::empty({static_cast<int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), t.data_ptr<int64_t>());
  return t;
}

TinyFixture::TinyFixture(const std::string& name) : json(read_json_file(fixture(name + ".json"))) {
  const bool adapted = name.ends_with("_lora");
  const std::string base = adapted ? name.substr(0, name.size() - 5) : name;
  model = load_transformer(fixture(base).string(), at::kFloat);
  if (adapted) lora = Lora::load(fixture(name).string(), model->config());
  sequences = json["ids"].get<std::vector<std::vector<int64_t>>>();
  std::vector<int64_t> lengths, all;
  for (const auto& s : sequences) {
    lengths.push_back(static_cast<int64_t>(s.size()));
    all.insert(all.end(), s.begin(), s.end());
  }
  batch = PackedBatch::from_lengths(lengths);
  ids = id_tensor(all);
}

at::Tensor TinyFixture::loss(const Lora* with) const {
  const at::Tensor hidden = model->forward_hidden(ids, batch, with);
  std::vector<at::Tensor> rows, targets;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const int64_t first = batch.cu_seqlens[s], n = batch.cu_seqlens[s + 1] - first;
    rows.push_back(hidden.narrow(0, first, n - 1));
    targets.push_back(ids.narrow(0, first + 1, n - 1));
  }
  return at::cross_entropy_loss(at::linear(at::cat(rows), model->lm_head_weight()),
                                at::cat(targets));
}

at::Tensor TinyFixture::logits(const Lora* with) const {
  const at::NoGradGuard no_grad;
  return lm_head_logits(model->forward_hidden(ids, batch, with), model->lm_head_weight());
}

at::Tensor TinyFixture::expected_logits() const {
  at::Tensor expected = at::empty({batch.num_tokens(), model->config().vocab_size}, at::kFloat);
  float* out = expected.data_ptr<float>();
  for (size_t s = 0; s < sequences.size(); ++s) {
    for (const Json& row : json["logits_" + std::to_string(s)]) {
      for (const Json& x : row) *out++ = x.get<float>();
    }
  }
  return expected;
}

double TinyFixture::gradient_error(const std::string& hugging_face_name,
                                   const at::Tensor& gradient) const {
  const Json& stored = json["gradients"][hugging_face_name];
  const at::Tensor flat = gradient.contiguous().view({-1});
  double worst = std::abs(flat.norm().item<double>() - stored["norm"].get<double>());
  for (size_t i = 0; i < stored["at"].size(); ++i) {
    const double got = flat[stored["at"][i].get<int64_t>()].item<double>();
    worst = std::max(worst, std::abs(got - stored["values"][i].get<double>()));
  }
  return worst;
}

}  // namespace weft::test
