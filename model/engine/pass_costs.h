/// What a pass is expected to take, learnt from those that were measured. Free of LibTorch.
#pragma once

#include <cstdint>

namespace weft {

/// Work of a pass, or of several, in units of the model.
struct PassWork {
  double reads = 0;  ///< readings of all weights; keys and values by their size
  /// Tokens multiplied by all weights, attention by its operations: the next ones of sequences, and
  /// those of prompts.
  double decoded = 0, prefilled = 0;

  PassWork operator+(const PassWork& more) const {
    return {reads + more.reads, decoded + more.decoded, prefilled + more.prefilled};
  }
};

/// Seconds of a pass by its work. What is read meanwhile hides behind the products or they behind
/// it: a pass takes sqrt((read_s reads)^2 + (decode_s decoded + prefill_s prefilled)^2). The two
/// kinds of tokens differ in what a product of few rows or many costs, and in their attention.
class PassCosts {
 public:
  /// Attention beside the weights.
  struct Shape {
    double reads_per_token = 0;  ///< bytes of a token's keys and values, over those of the weights
    double products_per_pair = 0;  ///< operations of a query and a key, over those of a token
  };

  /// `read_s` and `token_s` are a guess until something was learnt; only their quotient counts.
  explicit PassCosts(const Shape& shape, double read_s = 16, double token_s = 1)
      : shape_(shape), read_s_(read_s), decode_s_(token_s), prefill_s_(token_s) {}

  /// One reading of the weights: what every pass does.
  static PassWork pass() { return {1, 0, 0}; }

  /// One more token of each of `rows` sequences, which see `context` tokens in all.
  PassWork decoding(int64_t rows, int64_t context) const;

  /// `count` tokens of a text behind its first `start`.
  PassWork prefilling(int64_t start, int64_t count) const;

  double seconds(const PassWork& work) const;

  /// Most tokens of a text behind its first `start` with which a pass of this work besides takes
  /// at most `seconds`. May be 0.
  int64_t tokens_within(const PassWork& besides, int64_t start, double seconds) const;

  /// Takes what some work took.
  void learn(const PassWork& work, double seconds);

 private:
  int64_t tokens_of(int64_t start, double prefilled) const;

  Shape shape_;
  double read_s_, decode_s_, prefill_s_;
  bool learnt_ = false;
};

}  // namespace weft
