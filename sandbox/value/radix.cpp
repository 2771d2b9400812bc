#include "sandbox/value/radix.h"

#include <algorithm>

namespace weft {
namespace {

constexpr uint64_t kDecimal = 1000000000, kBinary = uint64_t{1} << 32;
constexpr size_t kSchoolDigits = 80;  // below, the plain ways are the faster ones

__extension__ using Wide = unsigned __int128;

struct Span {
  const uint32_t* digits = nullptr;
  size_t size = 0;

  Span first(size_t count) const { return {digits, std::min(count, size)}; }
  Span without_first(size_t count) const {
    return count < size ? Span{digits + count, size - count} : Span{};
  }
};

Span span_of(const Digits& digits) { return {digits.data(), digits.size()}; }

void drop_zeros(Digits& digits) {
  while (!digits.empty() && digits.back() == 0) digits.pop_back();
}

// Digits in base kBase.
template <uint64_t kBase>
class Arithmetic {
 public:
  // sum += part * kBase^at; `sum` is long enough.
  static void add(Digits& sum, Span part, size_t at) {
    uint64_t carry = 0;
    for (size_t i = 0; i < part.size || carry; ++i) {
      carry += sum[at + i] + uint64_t{i < part.size ? part.digits[i] : 0};
      sum[at + i] = static_cast<uint32_t>(carry % kBase);
      carry /= kBase;
    }
  }

  // whole -= part, which is not larger.
  static void subtract(Digits& whole, Span part) {
    uint64_t borrow = 0;
    for (size_t i = 0; i < part.size || borrow; ++i) {
      const uint64_t less = borrow + (i < part.size ? part.digits[i] : 0);
      borrow = whole[i] < less;
      whole[i] = static_cast<uint32_t>(whole[i] + borrow * kBase - less);
    }
  }

  // Karatsuba; a.size + b.size digits.
  static Digits multiply(Span a, Span b) {
    if (a.size < b.size) std::swap(a, b);
    if (b.size == 0) return {};
    if (b.size < kSchoolDigits) return multiply_plainly(a, b);
    Digits product(a.size + b.size + 1, 0);
    const size_t half = (a.size + 1) / 2;
    if (b.size <= half) {  // the longer one in pieces of the shorter one's length
      for (size_t at = 0; at < a.size; at += b.size) {
        add(product, span_of(multiply(a.without_first(at).first(b.size), b)), at);
      }
    } else {
      const Span a0 = a.first(half), a1 = a.without_first(half);
      const Span b0 = b.first(half), b1 = b.without_first(half);
      const Digits low = multiply(a0, b0), high = multiply(a1, b1);
      Digits middle = multiply(span_of(sum_of(a0, a1)), span_of(sum_of(b0, b1)));
      subtract(middle, span_of(low));
      subtract(middle, span_of(high));
      drop_zeros(middle);
      add(product, span_of(low), 0);
      add(product, span_of(high), 2 * half);
      add(product, span_of(middle), half);
    }
    product.resize(a.size + b.size);
    return product;
  }

 private:
  // Column by column: a sum of products has no carry until it is whole.
  static Digits multiply_plainly(Span a, Span b) {
    Digits product(a.size + b.size, 0);
    Wide column = 0;
    for (size_t k = 0; k + 1 < product.size(); ++k) {
      const size_t last = std::min(k, b.size - 1);
      for (size_t j = k < a.size ? 0 : k - a.size + 1; j <= last; ++j) {
        column += uint64_t{a.digits[k - j]} * b.digits[j];
      }
      product[k] = static_cast<uint32_t>(column % kBase);
      column /= kBase;
    }
    if (!product.empty()) product.back() = static_cast<uint32_t>(column);
    return product;
  }

  static Digits sum_of(Span a, Span b) {
    Digits sum(a.digits, a.digits + a.size);
    sum.resize(std::max(a.size, b.size) + 1, 0);
    add(sum, b, 0);
    return sum;
  }
};

// From base `kFrom` to base `kTo`: the upper half of the digits times a power of kFrom, and the
// lower half.
template <uint64_t kFrom, uint64_t kTo>
class Conversion {
 public:
  Digits convert(Span from) {
    Digits digits = from.size <= kSchoolDigits ? convert_plainly(from) : convert_halves(from);
    drop_zeros(digits);
    return digits;
  }

 private:
  static Digits convert_plainly(Span from) {
    Digits digits;
    for (size_t i = from.size; i-- > 0;) {
      uint64_t carry = from.digits[i];
      for (auto& digit : digits) {
        carry += digit * kFrom;
        digit = static_cast<uint32_t>(carry % kTo);
        carry /= kTo;
      }
      for (; carry; carry /= kTo) digits.push_back(static_cast<uint32_t>(carry % kTo));
    }
    return digits;
  }

  Digits convert_halves(Span from) {
    size_t level = 0;
    while ((kSchoolDigits << (level + 1)) < from.size) ++level;
    const size_t split = kSchoolDigits << level;
    const Digits low = convert(from.first(split));
    const Digits high = convert(from.without_first(split));
    const Digits& scale = power(level);
    Digits whole = Arithmetic<kTo>::multiply(span_of(high), span_of(scale));
    whole.resize(std::max(whole.size(), low.size()) + 1, 0);
    Arithmetic<kTo>::add(whole, span_of(low), 0);
    return whole;
  }

  // kFrom^(kSchoolDigits 2^level)
  const Digits& power(size_t level) {
    while (powers_.size() <= level) {
      Digits next;
      if (powers_.empty()) {
        Digits one(kSchoolDigits + 1, 0);
        one.back() = 1;
        next = convert_plainly(span_of(one));
      } else {
        next = Arithmetic<kTo>::multiply(span_of(powers_.back()), span_of(powers_.back()));
      }
      drop_zeros(next);
      powers_.push_back(std::move(next));
    }
    return powers_[level];
  }

  std::vector<Digits> powers_;
};

}  // namespace

Digits binary_of_decimal(const Digits& decimal) {
  return Conversion<kDecimal, kBinary>().convert(span_of(decimal));
}

Digits decimal_of_binary(const Digits& binary) {
  return Conversion<kBinary, kDecimal>().convert(span_of(binary));
}

}  // namespace weft
