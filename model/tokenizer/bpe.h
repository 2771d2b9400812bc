/// Byte-pair encoding of one pre-token: Sennrich et al. 2016, arXiv:1508.07909, with the merge
/// order of Hugging Face `tokenizers` (lowest rank first, leftmost on ties).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weft {

struct BpeMerge {
  int32_t left = 0;
  int32_t right = 0;
  int32_t merged = 0;
  int32_t rank = -1;  ///< the lowest merges first; below 0: its place in the list
};

struct BpeOptions {
  /// Symbols a text starts from are its bytes; else its characters, and the bytes of a character
  /// that is no token through `byte_ids` if all of them are set, else `unknown`.
  bool byte_symbols = true;
  /// A pre-token that is a token itself is taken as it is (Llama-3).
  bool ignore_merges = false;
  /// Neighbouring unknown characters become one `unknown`.
  bool fuse_unknown = false;
  std::optional<int32_t> unknown;       ///< without it unknown symbols are dropped
  std::array<int32_t, 256> byte_ids{};  ///< token of each byte, -1 for none
};

/// Remembers how short pre-tokens were cut; owned by one thread at a time.
class BpeCache;

/// Immutable; may be used from any thread.
class Bpe {
 public:
  /// `ids` maps the content of a token (raw bytes) to its id.
  Bpe(std::unordered_map<std::string, int32_t> ids, const std::vector<BpeMerge>& merges,
      BpeOptions options);

  /// Appends the ids of one pre-token. O(n log n) in its length.
  void encode(std::string_view piece, std::vector<int32_t>& out) const;

  /// The same through a cache, which only one thread may use at a time.
  void encode(std::string_view piece, BpeCache& cache, std::vector<int32_t>& out) const;

 private:
  struct Merge {
    uint64_t pair = ~uint64_t{0};  ///< left << 32 | right
    int32_t rank = -1;
    int32_t merged = -1;
  };
  struct Symbol {
    int32_t id = -1;
    int32_t previous = -1;
    int32_t next = -1;
  };

  const Merge* find_merge(int32_t left, int32_t right) const;
  void start_symbols(std::string_view piece, std::vector<int32_t>& symbols) const;
  void start_characters(std::string_view piece, std::vector<int32_t>& symbols) const;
  void merge_short(std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols) const;

  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Merge> table_;  ///< open addressing; size is a power of two
  BpeOptions options_;
};

class BpeCache {
 public:
  BpeCache() : entries_(kEntries) {}

 private:
  friend class Bpe;
  static constexpr size_t kEntries = size_t{1} << 15;
  static constexpr size_t kMaxBytes = 30;
  static constexpr size_t kMaxIds = 8;

  /// One cache line: 2 MiB for all entries.
  struct alignas(64) Entry {
    uint8_t num_bytes = 0;
    uint8_t num_ids = 0;
    std::array<char, kMaxBytes> bytes{};
    std::array<int32_t, kMaxIds> ids{};
  };

  std::vector<Entry> entries_;
};

}  // namespace weft
