#include "model/engine/prefix_index.h"

#include <algorithm>
#include <string_view>

#include "base/hash.h"

namespace weft {

size_t PrefixIndex::KeyHash::operator()(const Key& key) const {
  const auto* bytes = reinterpret_cast<const char*>(key.tokens.data());
  return hash_combine(static_cast<uint64_t>(key.parent),
                      hash64(std::string_view(bytes, sizeof key.tokens)));
}

int64_t PrefixIndex::root_of(const std::shared_ptr<const Lora>& adapter) {
  if (!adapter) return 0;
  std::erase_if(roots_, [](const Root& root) { return root.adapter.expired(); });
  for (const Root& root : roots_) {
    if (root.adapter.lock() == adapter) return root.id;
  }
  roots_.push_back({adapter, ++last_id_});
  return last_id_;
}

// A node is used no later than the one before it in its text: what is evicted from the end never
// has others behind it.
void PrefixIndex::touch(const std::vector<Nodes::iterator>& path) {
  for (auto node = path.rbegin(); node != path.rend(); ++node) {
    nodes_.splice(nodes_.begin(), nodes_, *node);
  }
}

std::vector<int32_t> PrefixIndex::take(const std::shared_ptr<const Lora>& adapter,
                                       std::span<const int32_t> tokens) {
  std::vector<int32_t> blocks;
  std::vector<Nodes::iterator> path;
  Key key{root_of(adapter), {}};
  for (; tokens.size() >= key.tokens.size(); tokens = tokens.subspan(key.tokens.size())) {
    std::copy_n(tokens.begin(), key.tokens.size(), key.tokens.begin());
    const auto known = found_.find(key);
    if (known == found_.end()) break;
    path.push_back(known->second);
    pool_.share(known->second->block);
    blocks.push_back(known->second->block);
    key.parent = known->second->id;
  }
  touch(path);
  return blocks;
}

void PrefixIndex::keep(const std::shared_ptr<const Lora>& adapter, std::span<const int32_t> tokens,
                       std::span<const int32_t> blocks) {
  std::vector<Nodes::iterator> path;
  Key key{root_of(adapter), {}};
  const size_t most = std::min(blocks.size(), static_cast<size_t>(max_blocks_));
  for (size_t b = 0; b < most && tokens.size() >= key.tokens.size(); ++b) {
    std::copy_n(tokens.begin(), key.tokens.size(), key.tokens.begin());
    tokens = tokens.subspan(key.tokens.size());
    auto known = found_.find(key);
    if (known == found_.end()) {
      if (pool_.is_kept(blocks[b])) break;  // behind a block that was evicted
      nodes_.push_front({key, ++last_id_, blocks[b]});
      known = found_.emplace(key, nodes_.begin()).first;
      pool_.keep(blocks[b]);
    }
    path.push_back(known->second);
    key.parent = known->second->id;
  }
  touch(path);
  while (num_blocks() > max_blocks_) erase(std::prev(nodes_.end()));
}

bool PrefixIndex::evict() {
  for (auto node = nodes_.end(); node != nodes_.begin();) {
    if (!pool_.is_idle((--node)->block)) continue;
    erase(node);
    return true;
  }
  return false;
}

void PrefixIndex::erase(Nodes::iterator node) {
  pool_.drop(node->block);
  found_.erase(node->key);
  nodes_.erase(node);
}

void PrefixIndex::clear() {
  while (!nodes_.empty()) erase(std::prev(nodes_.end()));
  roots_.clear();
}

}  // namespace weft
