/// What a step is expected to take, learnt from those that were measured. Free of LibTorch.
#pragma once

#include <cstdint>

namespace weft {

/// Work of a step, or of several, in units of the model.
struct StepWork {
  double reads = 0;     ///< readings of all weights; keys and values by their size
  double products = 0;  ///< tokens multiplied by all weights; attention by its operations

  StepWork operator+(const StepWork& more) const {
    return {reads + more.reads, products + more.products};
  }
};

/// Seconds of a step by its work. What is read meanwhile hides behind the products or they behind
/// it: a step takes sqrt((read_s reads)^2 + (product_s products)^2), which is within a tenth of
/// decode steps of 1 to 64 sequences on two cores.
class StepCosts {
 public:
  /// Attention beside the weights.
  struct Shape {
    double reads_per_token = 0;  ///< bytes of a token's keys and values, over those of the weights
    double products_per_pair = 0;  ///< operations of a query and a key, over those of a token
  };

  /// `read_s` and `product_s` are a guess until something was learnt; only their quotient counts.
  explicit StepCosts(const Shape& shape, double read_s = 16, double product_s = 1)
      : shape_(shape), read_s_(read_s), product_s_(product_s) {}

  /// One reading of the weights: what every step does.
  static StepWork step() { return {1, 0}; }

  /// One more token of each of `rows` sequences, which see `context` tokens in all.
  StepWork decoding(int64_t rows, int64_t context) const;

  /// `count` tokens of a text behind its first `start`.
  StepWork prefilling(int64_t start, int64_t count) const;

  double seconds(const StepWork& work) const;

  /// Most tokens of a text behind its first `start` with which a step of this work besides takes
  /// at most `seconds`. May be 0.
  int64_t tokens_within(const StepWork& besides, int64_t start, double seconds) const;

  /// Takes what some work took.
  void learn(const StepWork& work, double seconds);

 private:
  int64_t tokens_of(int64_t start, double products) const;

  Shape shape_;
  double read_s_, product_s_;
  bool learnt_ = false;
};

}  // namespace weft
