#include "model/engine/adapter_table.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace weft {
namespace {

bool is_same(const LoraUpdate& x, const LoraUpdate& y) {
  return x.a.is_same(y.a) && x.b.is_same(y.b);
}

int64_t rank_of(const LoraUpdate& u) { return u.a.defined() ? u.a.size(0) : 0; }

cuda::LoraWeights weights_of(const LoraUpdate& u) {
  if (!u.a.defined()) return {nullptr, nullptr, 0};
  return {u.a.const_data_ptr(), u.b.const_data_ptr(), rank_of(u)};
}

}  // namespace

AdapterTable::AdapterTable(const ops::DeviceContext& context, const Transformer& model,
                           int64_t slots)
    : context_(context),
      model_(model),
      linears_(model.num_layers() * kNumFusedLinears),
      room_(slots),
      staging_(context) {}

size_t AdapterTable::slot_of(const Lora* lora) {
  const auto holds = [](const Lora* wanted) {
    return [wanted](const Slot& slot) { return slot.lora == wanted; };
  };
  auto found = std::find_if(slots_.begin(), slots_.end(), holds(lora));
  if (found == slots_.end()) found = std::find_if(slots_.begin(), slots_.end(), holds(nullptr));
  if (found == slots_.end()) found = slots_.insert(slots_.end(), Slot{});
  found->lora = lora;
  found->updates.resize(static_cast<size_t>(linears_));
  return static_cast<size_t>(found - slots_.begin());
}

// Whether the weights are others than before.
bool AdapterTable::refresh(Slot& slot) const {
  bool changed = false;
  for (int64_t i = 0; i < linears_; ++i) {
    const auto which = static_cast<FusedLinear>(i % kNumFusedLinears);
    LoraUpdate now =
        slot.lora->update(i / kNumFusedLinears, which, model_.dtype(), model_.device());
    if (is_same(slot.updates[i], now)) continue;
    slot.updates[i] = std::move(now);
    changed = true;
  }
  return changed;
}

// Whether the table is another one, or is to be read in another way.
bool AdapterTable::make_room() {
  int64_t rank = 0;
  for (const Slot& slot : slots_) {
    for (const LoraUpdate& u : slot.updates) rank = std::max(rank, rank_of(u));
  }
  const bool fits = std::ssize(slots_) <= room_ && table_.defined();
  if (fits && rank <= max_rank_) return false;
  if (!fits) {
    room_ = std::max(room_, static_cast<int64_t>(std::bit_ceil(slots_.size())));
    const int64_t bytes = room_ * linears_ * static_cast<int64_t>(sizeof(cuda::LoraWeights));
    table_ = at::zeros({bytes}, at::TensorOptions(model_.device()).dtype(at::kByte));
  }
  max_rank_ = std::max(max_rank_, static_cast<int64_t>(std::bit_ceil<uint64_t>(rank)));
  ++generation_;
  return true;
}

void AdapterTable::copy_to_device() {
  const size_t bytes = slots_.size() * static_cast<size_t>(linears_) * sizeof(cuda::LoraWeights);
  auto* next = static_cast<cuda::LoraWeights*>(staging_.reserve(bytes));
  for (const Slot& slot : slots_) {
    for (const LoraUpdate& u : slot.updates) *next++ = weights_of(u);
    if (slot.lora == nullptr) next = std::fill_n(next, linears_, cuda::LoraWeights{});
  }
  staging_.copy_to(table_.data_ptr(), bytes);
}

std::vector<LoraRows> AdapterTable::take(const std::vector<AdapterRows>& rows) {
  for (Slot& slot : slots_) {
    const bool stays = std::any_of(rows.begin(), rows.end(), [&](const AdapterRows& range) {
      return range.lora == slot.lora;
    });
    if (!stays) slot = {};
  }
  while (!slots_.empty() && slots_.back().lora == nullptr) slots_.pop_back();
  std::vector<LoraRows> ranges;
  for (const auto& [lora, begin, end] : rows) {
    ranges.push_back({static_cast<int32_t>(slot_of(lora)), begin, end});
  }
  if (rows.empty()) return ranges;
  bool changed = false;
  for (Slot& slot : slots_) changed = (slot.lora && refresh(slot)) || changed;
  changed = make_room() || changed;
  if (changed) copy_to_device();
  return ranges;
}

ops::LoraTableView AdapterTable::view(int64_t layer, FusedLinear which) const {
  WEFT_ASSERT(table_.defined());
  const auto* weights = static_cast<const cuda::LoraWeights*>(table_.const_data_ptr());
  return {weights + layer * kNumFusedLinears + static_cast<int64_t>(which), linears_, max_rank_};
}

}  // namespace weft
