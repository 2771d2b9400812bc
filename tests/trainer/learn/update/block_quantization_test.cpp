#include "trainer/learn/update/block_quantization.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/trainer/learn/update/learn_support.h"

namespace weft {
namespace {

/// Values of many sizes, two and a half blocks.
at::Tensor many_sizes(CodeBook book) {
  Rng rng(6);
  at::Tensor values = at::empty({640}, at::kFloat);
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double sign = book == CodeBook::kSigned && rng.uniform() < .5 ? -1 : 1;
    values[i] = static_cast<float>(sign * 3 * std::pow(10, -9 * rng.uniform()));
  }
  return values;
}

at::Tensor requantized(const at::Tensor& values, CodeBook book) {
  const DeviceCodes codes(book, at::kCPU);
  return dequantize(quantize(values, codes), codes);
}

/// Distance of `share` to the nearest number of the book.
double least_distance(const at::Tensor& book, double share) {
  double least = 2;
  for (int64_t k = 0; k < book.numel(); ++k) {
    least = std::min(least, std::abs(double{book.const_data_ptr<float>()[k]} - share));
  }
  return least;
}

// The data type as the paper's authors publish it: the highest decade, 0.1 to 1, has 64 numbers of
// each sign, 128 where there is no sign.
TEST(BlockQuantization, HasTheCodeBookOfThePaper) {
  const at::Tensor& with_sign = code_book(CodeBook::kSigned);
  const at::Tensor& positive = code_book(CodeBook::kUnsigned);
  for (const at::Tensor& book : {with_sign, positive}) {
    ASSERT_EQ(book.numel(), 256);
    EXPECT_TRUE(book.narrow(0, 0, 255).lt(book.narrow(0, 1, 255)).all().item<bool>());
    EXPECT_EQ(book[255].item<float>(), 1);
    EXPECT_TRUE(book.eq(0).any().item<bool>());
  }
  EXPECT_FLOAT_EQ(with_sign[0].item<float>(), -.99296875f);
  EXPECT_FLOAT_EQ(with_sign[1].item<float>(), -.97890625f);
  EXPECT_FLOAT_EQ(with_sign[254].item<float>(), .99296875f);
  EXPECT_FLOAT_EQ(with_sign[128].item<float>(), 5.5e-7f);
  EXPECT_FLOAT_EQ(positive[254].item<float>(), .996484375f);
  EXPECT_FLOAT_EQ(positive[1].item<float>(), 3.25e-7f);
}

// Half a gap of the highest decade is the largest error: 0.45 / 64 of the block's scale with a
// sign, 0.45 / 128 without, and every value gets the nearest number.
TEST(BlockQuantization, GivesTheNearestNumber) {
  for (const CodeBook book : {CodeBook::kSigned, CodeBook::kUnsigned}) {
    const at::Tensor values = many_sizes(book);
    const QuantizedValues quantized = quantize(values, {book, at::kCPU});
    EXPECT_EQ(quantized.codes.scalar_type(), at::kByte);
    ASSERT_EQ(quantized.scales.numel(), 3);
    const at::Tensor back = dequantize(quantized, {book, at::kCPU});
    const double bound = book == CodeBook::kSigned ? .45 / 64 : .45 / 128;
    for (int64_t i = 0; i < values.numel(); ++i) {
      const double scale = quantized.scales[i / 256].item<double>();
      const double value = values[i].item<double>();
      const double error = std::abs(back[i].item<double>() - value) / scale;
      EXPECT_LE(error, bound * (1 + 1e-5)) << value;
      if (book == CodeBook::kUnsigned && value / scale < 3.25e-7) continue;
      EXPECT_NEAR(error, least_distance(code_book(book), value / scale), 1e-7) << value;
    }
  }
}

TEST(BlockQuantization, KeepsTheLargestAndZeroAsTheyAre) {
  at::Tensor values = at::zeros({300}, at::kFloat);
  values[7] = 1e-30f;
  const at::Tensor back = requantized(values, CodeBook::kSigned);
  EXPECT_TRUE(back.equal(values));
}

TEST(BlockQuantization, NeverLosesAPositiveSquare) {
  at::Tensor values = at::zeros({256}, at::kFloat);
  values[0] = 1;
  values[1] = 1e-12f;
  const at::Tensor back = requantized(values, CodeBook::kUnsigned);
  EXPECT_FLOAT_EQ(back[1].item<float>(), 3.25e-7f);
  EXPECT_EQ(back[2].item<float>(), 0);
}

// Each block has a scale of its own: a large value spoils its block alone.
TEST(BlockQuantization, SeparatesBlocks) {
  Rng rng(1);
  at::Tensor values = test::random_tensor({512}, rng, 1e-4);
  values[0] = 1e4f;
  const at::Tensor back = requantized(values, CodeBook::kSigned);
  EXPECT_LT(test::relative_error(back.narrow(0, 256, 256), values.narrow(0, 256, 256)), .05);
  EXPECT_EQ(back[1].item<float>(), 0);
}

}  // namespace
}  // namespace weft
