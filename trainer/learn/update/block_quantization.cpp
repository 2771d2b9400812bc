#include "trainer/learn/update/block_quantization.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/bucketize.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace weft {
namespace {

constexpr int kDecades = 7;

at::Tensor make_code_book(bool has_sign) {
  std::vector<float> numbers = {0, 1};
  for (int i = 0; i < kDecades; ++i) {
    const int parts = 1 << (has_sign ? i : i + 1);
    const double decade = std::pow(10.0, i - (kDecades - 1));
    for (int k = 0; k < parts; ++k) {
      const auto middle = static_cast<float>(decade * (.1 + .9 * (k + .5) / parts));
      numbers.push_back(middle);
      if (has_sign) numbers.push_back(-middle);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  at::Tensor book = at::empty({static_cast<int64_t>(numbers.size())}, at::kFloat);
  std::copy(numbers.begin(), numbers.end(), book.data_ptr<float>());
  return book;
}

/// [blocks, 256], zeros after the end.
at::Tensor in_blocks(const at::Tensor& values) {
  const int64_t rest = values.numel() % kQuantizationBlock;
  const at::Tensor whole =
      rest == 0 ? values : at::constant_pad_nd(values, {0, kQuantizationBlock - rest});
  return whole.view({-1, kQuantizationBlock});
}

}  // namespace

const at::Tensor& code_book(CodeBook book) {
  static const at::Tensor kSignedBook = make_code_book(true), kUnsignedBook = make_code_book(false);
  return book == CodeBook::kSigned ? kSignedBook : kUnsignedBook;
}

DeviceCodes::DeviceCodes(CodeBook of, at::Device device) : book(of) {
  const at::Tensor& all = code_book(of);
  const int64_t last = all.numel() - 1;
  numbers = all.to(device);
  middles = ((all.narrow(0, 0, last) + all.narrow(0, 1, last)) / 2).to(device);
}

QuantizedValues quantize(const at::Tensor& values, const DeviceCodes& codes_of) {
  WEFT_ASSERT(values.dim() == 1 && values.scalar_type() == at::kFloat);
  const at::Tensor blocks = in_blocks(values);
  const at::Tensor scales = blocks.abs().amax(1);
  const at::Tensor divisors = at::where(scales > 0, scales, at::ones_like(scales));
  const at::Tensor shares = (blocks / divisors.unsqueeze(1)).flatten();
  at::Tensor codes = at::bucketize(shares, codes_of.middles, /*out_int32=*/true);
  if (codes_of.book == CodeBook::kUnsigned)
    codes = at::where(shares > 0, codes.clamp_min(1), codes);
  return {codes.to(at::kByte).narrow(0, 0, values.numel()), scales};
}

at::Tensor dequantize(const QuantizedValues& values, const DeviceCodes& codes) {
  const at::Tensor shares = codes.numbers.index_select(0, values.codes.to(at::kInt));
  const at::Tensor blocks = in_blocks(shares) * values.scales.unsqueeze(1);
  return blocks.flatten().narrow(0, 0, values.codes.numel());
}

}  // namespace weft
