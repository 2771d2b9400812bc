/// Which blocks of the KV cache hold which text, so that prompts that begin alike are computed
/// once. Used by the engine's thread alone.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/engine/block_pool.h"

namespace weft {

class Lora;

/// A tree of full blocks: a node is the block of kBlockTokens tokens behind those of its parent,
/// the roots are the base model and each adapter. Nodes are compared by their tokens, not by hashes
/// of them, so that no other text can be taken for them. Source: the automatic prefix caching of
/// vLLM (arXiv:2309.06180, section 4.3) and the radix tree of SGLang (arXiv:2312.07104, section 3),
/// here with one node a block.
class PrefixIndex {
 public:
  /// Borrows the pool and keeps at most `max_blocks` of its blocks.
  PrefixIndex(BlockPool& pool, int64_t max_blocks) : pool_(pool), max_blocks_(max_blocks) {}
  ~PrefixIndex() { clear(); }
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  /// The longest run of known blocks at the head of `tokens` under this adapter (null: the base
  /// model), each with one more reference, which the caller owns.
  std::vector<int32_t> take(const std::shared_ptr<const Lora>& adapter,
                            std::span<const int32_t> tokens);

  /// Keeps the full blocks of `tokens`, which `blocks` hold from the first on, as far as they go;
  /// of text that is known already, the blocks kept first. Frees others where there are too many.
  void keep(const std::shared_ptr<const Lora>& adapter, std::span<const int32_t> tokens,
            std::span<const int32_t> blocks);

  /// Frees the block that was used least recently among those that nobody else holds; false if
  /// there is none.
  bool evict();

  /// Forgets everything: the weights changed.
  void clear();

  int64_t num_blocks() const { return static_cast<int64_t>(nodes_.size()); }

 private:
  using Tokens = std::array<int32_t, kernels::kBlockTokens>;
  struct Key {
    int64_t parent;
    Tokens tokens;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  struct Node {
    Key key;
    int64_t id;
    int32_t block;
  };
  struct Root {
    std::weak_ptr<const Lora> adapter;
    int64_t id;
  };
  using Nodes = std::list<Node>;  // most recently used first

  int64_t root_of(const std::shared_ptr<const Lora>& adapter);
  void touch(const std::vector<Nodes::iterator>& path);
  void erase(Nodes::iterator node);

  BlockPool& pool_;
  const int64_t max_blocks_;
  Nodes nodes_;
  std::unordered_map<Key, Nodes::iterator, KeyHash> found_;
  std::vector<Root> roots_;
  int64_t last_id_ = 0;  // 0 is the base model's root
};

}  // namespace weft
