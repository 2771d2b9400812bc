// Packing and prefix sharing are rearrangements of the same sums: fp32 results agree to rounding.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "tests/model/transformer/fixture.h"

namespace weft {
namespace {

constexpr double kTolerance = 1e-5;

std::vector<int64_t> ids_from(int64_t first, int64_t n) {
  std::vector<int64_t> ids(n);
  for (int64_t i = 0; i < n; ++i) ids[i] = 3 + (first * 31 + i * 17) % 300;
  return ids;
}

std::vector<int64_t> joined(const std::vector<std::vector<int64_t>>& parts) {
  std::vector<int64_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

at::Tensor hidden(const Transformer& model, const std::vector<std::vector<int64_t>>& parts,
                  const PackedBatch& batch) {
  return model.forward_hidden(test::id_tensor(joined(parts)), batch);
}

double worst(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(Packing, SequencesDoNotSeeEachOther) {
  const test::TinyFixture f("tiny_llama");
  const std::vector<std::vector<int64_t>> parts = {ids_from(1, 40), ids_from(2, 1),
                                                   ids_from(3, 70)};
  const std::vector<int64_t> lengths = {40, 1, 70};
  const at::Tensor packed = hidden(*f.model, parts, PackedBatch::from_lengths(lengths));
  for (size_t s = 0, first = 0; s < parts.size(); first += lengths[s++]) {
    const std::vector<int64_t> one = {lengths[s]};
    const at::Tensor alone = hidden(*f.model, {parts[s]}, PackedBatch::from_lengths(one));
    EXPECT_LE(worst(packed.narrow(0, first, lengths[s]), alone), kTolerance);
  }
}

// A prompt with three completions, once shared and once repeated; the loss weighs completion tokens
// only, so that the gradients must agree too. Completions fill up the prompt's last block of 16.
class SharedPrefix : public testing::TestWithParam<int64_t> {};

TEST_P(SharedPrefix, EqualsARepeatedOne) {
  test::TinyFixture f("tiny_qwen2");
  for (const NamedParameter& p : f.model->parameters()) p.tensor->set_requires_grad(true);
  const int64_t n = GetParam();
  const auto prompt = ids_from(1, n);
  const std::vector<std::vector<int64_t>> tails = {ids_from(2, 20), ids_from(3, 5),
                                                   ids_from(4, 33)};
  const std::vector<int64_t> shared_lengths = {n, 20, 5, 33}, prefix = {-1, 0, 0, 0};
  const PackedBatch shared_batch = PackedBatch::with_prefixes(shared_lengths, prefix);
  const at::Tensor shared =
      hidden(*f.model, {prompt, tails[0], tails[1], tails[2]}, shared_batch).narrow(0, n, 58);
  std::vector<at::Tensor> rows;
  const std::vector<int64_t> lengths = {n + 20, n + 5, n + 33};
  const PackedBatch repeated_batch = PackedBatch::from_lengths(lengths);
  const at::Tensor repeated =
      hidden(*f.model, {prompt, tails[0], prompt, tails[1], prompt, tails[2]}, repeated_batch);
  for (int64_t s = 0, first = 0; s < 3; first += lengths[s++]) {
    rows.push_back(repeated.narrow(0, first + n, lengths[s] - n));
  }
  const at::Tensor expected = at::cat(rows);
  EXPECT_TRUE(at::equal(shared, expected));

  const auto gradients = [&](const at::Tensor& out) {
    (out * out).mean().backward();
    std::vector<at::Tensor> all;
    for (const NamedParameter& p : f.model->parameters()) {
      if (!p.tensor->grad().defined()) continue;
      all.push_back(p.tensor->grad().clone());
      p.tensor->mutable_grad().reset();
    }
    return all;
  };
  const auto a = gradients(shared), b = gradients(expected);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_LE(worst(a[i], b[i]), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Lengths, SharedPrefix, testing::Values(1, 15, 16, 17, 32, 37, 63));

TEST(Packing, Bf16StaysNearFp32) {
  const auto config = test::TinyFixture("tiny_llama").model->config();
  const auto exact = Transformer::random(config, at::kFloat, 7, 0.1);
  const auto rounded = Transformer::random(config, at::kBFloat16, 7, 0.1);
  const std::vector<std::vector<int64_t>> parts = {ids_from(1, 60)};
  const std::vector<int64_t> lengths = {60};
  const PackedBatch batch = PackedBatch::from_lengths(lengths);
  const at::Tensor a = hidden(*exact, parts, batch);
  const at::Tensor b = hidden(*rounded, parts, batch).to(at::kFloat);
  // 8 significant bits through 2 layers: relative error of a few times 2^-8.
  EXPECT_LE((a - b).norm().item<double>() / a.norm().item<double>(), 0.03);
}

}  // namespace
}  // namespace weft
