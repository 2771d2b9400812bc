#include "model/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <queue>

#include "model/tokenizer/unicode.h"

namespace weft {
namespace {

constexpr size_t kShortPiece = 24;

uint64_t pair_key(int32_t left, int32_t right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
}

size_t hash_pair(uint64_t pair) {
  pair *= 0x9E3779B97F4A7C15ull;
  return static_cast<size_t>(pair ^ (pair >> 32));
}

size_t hash_bytes(std::string_view bytes) {
  uint64_t hash = bytes.size() * 0x9E3779B97F4A7C15ull;
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<size_t>(8, bytes.size() - i));
    hash = (hash ^ word) * 0xD6E8FEB86659FD93ull;
    hash ^= hash >> 32;
  }
  return static_cast<size_t>(hash);
}

}  // namespace

Bpe::Bpe(std::unordered_map<std::string, int32_t> ids, const std::vector<BpeMerge>& merges,
         BpeOptions options)
    : ids_(std::move(ids)),
      table_(std::bit_ceil(std::max<size_t>(16, merges.size() * 2))),
      options_(std::move(options)) {
  for (size_t i = 0; i < merges.size(); ++i) {
    const BpeMerge& merge = merges[i];
    const uint64_t pair = pair_key(merge.left, merge.right);
    size_t slot = hash_pair(pair) & (table_.size() - 1);
    while (table_[slot].rank >= 0 && table_[slot].pair != pair) {
      slot = (slot + 1) & (table_.size() - 1);
    }
    table_[slot] = {pair, merge.rank < 0 ? static_cast<int32_t>(i) : merge.rank, merge.merged};
  }
}

const Bpe::Merge* Bpe::find_merge(int32_t left, int32_t right) const {
  const uint64_t pair = pair_key(left, right);
  for (size_t slot = hash_pair(pair) & (table_.size() - 1); table_[slot].rank >= 0;
       slot = (slot + 1) & (table_.size() - 1)) {
    if (table_[slot].pair == pair) return &table_[slot];
  }
  return nullptr;
}

void Bpe::start_symbols(std::string_view piece, std::vector<int32_t>& symbols) const {
  if (!options_.byte_symbols) return start_characters(piece, symbols);
  for (const char c : piece) {
    const int32_t id = options_.byte_ids[static_cast<unsigned char>(c)];
    if (id >= 0) {
      symbols.push_back(id);
    } else if (options_.unknown) {
      symbols.push_back(*options_.unknown);
    }
  }
}

void Bpe::start_characters(std::string_view piece, std::vector<int32_t>& symbols) const {
  bool after_unknown = false;
  for (size_t i = 0; i < piece.size();) {
    const std::string character(piece.substr(i, decode_utf8(piece, i).length));
    i += character.size();
    const auto found = ids_.find(character);
    const bool bytes_known = std::all_of(character.begin(), character.end(), [&](char c) {
      return options_.byte_ids[static_cast<unsigned char>(c)] >= 0;
    });
    if (found != ids_.end()) {
      symbols.push_back(found->second);
    } else if (bytes_known) {
      for (const char c : character) {
        symbols.push_back(options_.byte_ids[static_cast<unsigned char>(c)]);
      }
    } else if (options_.unknown && !(after_unknown && options_.fuse_unknown)) {
      symbols.push_back(*options_.unknown);
    }
    after_unknown = found == ids_.end() && !bytes_known;
  }
}

void Bpe::merge_short(std::vector<int32_t>& symbols) const {
  std::array<const Merge*, kShortPiece> merges;
  for (size_t i = 0; i + 1 < symbols.size(); ++i)
    merges[i] = find_merge(symbols[i], symbols[i + 1]);
  while (symbols.size() > 1) {
    const Merge* best = nullptr;
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (merges[i] && (!best || merges[i]->rank < best->rank)) best = merges[at = i];
    }
    if (!best) return;
    symbols[at] = best->merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    std::copy(merges.begin() + at + 1, merges.begin() + symbols.size(), merges.begin() + at);
    if (at + 1 < symbols.size()) merges[at] = find_merge(symbols[at], symbols[at + 1]);
    if (at > 0) merges[at - 1] = find_merge(symbols[at - 1], symbols[at]);
  }
}

void Bpe::merge_long(std::vector<int32_t>& symbols) const {
  struct Candidate {
    int32_t rank, left, right, merged;
    uint64_t pair;
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  const auto size = static_cast<int32_t>(symbols.size());
  std::vector<Symbol> list(symbols.size());
  for (int32_t i = 0; i < size; ++i) list[i] = {symbols[i], i - 1, i + 1 < size ? i + 1 : -1};
  std::priority_queue<Candidate> queue;
  const auto push = [&](int32_t left) {
    const int32_t right = left < 0 ? -1 : list[left].next;
    if (right < 0) return;
    if (const Merge* merge = find_merge(list[left].id, list[right].id)) {
      queue.push({merge->rank, left, right, merge->merged, merge->pair});
    }
  };
  for (int32_t i = 0; i < size; ++i) push(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = list[top.left];
    Symbol& right = list[top.right];
    if (left.id < 0 || right.id < 0 || left.next != top.right) continue;
    if (pair_key(left.id, right.id) != top.pair) continue;
    left.id = top.merged;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) list[left.next].previous = top.left;
    push(left.previous);
    push(top.left);
  }
  symbols.clear();
  for (int32_t i = 0; i >= 0; i = list[i].next) symbols.push_back(list[i].id);
}

void Bpe::encode(std::string_view piece, std::vector<int32_t>& out) const {
  if (options_.ignore_merges) {
    const auto found = ids_.find(std::string(piece));
    if (found != ids_.end()) {
      out.push_back(found->second);
      return;
    }
  }
  std::vector<int32_t> symbols;
  symbols.reserve(piece.size());
  start_symbols(piece, symbols);
  if (symbols.size() > kShortPiece) {
    merge_long(symbols);
  } else {
    merge_short(symbols);
  }
  out.insert(out.end(), symbols.begin(), symbols.end());
}

void Bpe::encode(std::string_view piece, BpeCache& cache, std::vector<int32_t>& out) const {
  if (piece.empty() || piece.size() > BpeCache::kMaxBytes) return encode(piece, out);
  BpeCache::Entry& entry = cache.entries_[hash_bytes(piece) & (BpeCache::kEntries - 1)];
  const bool hit = entry.num_bytes == piece.size() &&
                   std::memcmp(entry.bytes.data(), piece.data(), piece.size()) == 0;
  if (hit) {
    out.insert(out.end(), entry.ids.begin(), entry.ids.begin() + entry.num_ids);
    return;
  }
  const size_t before = out.size();
  encode(piece, out);
  const size_t num_ids = out.size() - before;
  if (num_ids > BpeCache::kMaxIds) return;
  entry.num_bytes = static_cast<uint8_t>(piece.size());
  entry.num_ids = static_cast<uint8_t>(num_ids);
  std::copy(piece.begin(), piece.end(), entry.bytes.begin());
  std::copy(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), entry.ids.begin());
}

}  // namespace weft
