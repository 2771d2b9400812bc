/// Optimizer states in 8 bits: a code of the dynamic tree data type for each value and a scale for
/// each block of 256. Source: arXiv:2110.02861, sections 1.3 and 2.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace weft {

constexpr int64_t kQuantizationBlock = 256;

/// Codes stand for 256 numbers in [-1, 1], or in [0, 1] where no value is negative.
enum class CodeBook { kSigned, kUnsigned };

/// [256] f32 on the CPU, rising. 7 bits (8 without a sign) for exponent, mark and fraction: decade
/// 10^(i - 6), i = 0 ... 6, of [0.1, 1] holds 2^i (2^(i + 1)) numbers, the middles of equal parts,
/// for each sign; with 0 and 1.
const at::Tensor& code_book(CodeBook book);

/// The numbers of a code book on a device.
struct DeviceCodes {
  CodeBook book = CodeBook::kSigned;
  at::Tensor numbers;  ///< [256] f32, rising
  at::Tensor middles;  ///< [255] f32, between neighbours

  DeviceCodes() = default;  ///< none
  DeviceCodes(CodeBook of, at::Device device);
};

/// Values of a block are the block's scale, its largest magnitude, times the number of their code.
struct QuantizedValues {
  at::Tensor codes;   ///< [n] u8
  at::Tensor scales;  ///< [ceil(n / 256)] f32
};

/// The nearest code of each of `values` [n] f32 over its block's scale; of two that are as near,
/// the lower. Deviation from the paper: with kUnsigned a positive value never becomes 0, so that a
/// small gradient is not divided by the root of a lost square.
QuantizedValues quantize(const at::Tensor& values, const DeviceCodes& codes);

/// [n] f32.
at::Tensor dequantize(const QuantizedValues& values, const DeviceCodes& codes);

}  // namespace weft
