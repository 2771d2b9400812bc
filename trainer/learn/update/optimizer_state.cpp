// What an optimizer saves, and reads again.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <set>

#include "base/error.h"
#include "model/checkpoint/finite.h"
#include "trainer/learn/update/optimizer.h"

namespace weft {
namespace {

constexpr const char* kCounters = "counters";
// In checkpoints of earlier versions, one tensor of all parameters for each of these.
constexpr std::pair<const char*, const char*> kFlatNames[] = {
    {"mean", "exp_avg."}, {"square", "exp_avg_sq."}, {"masters", "master."}};

void check_saved(const std::string& name, const at::Tensor& expected, const at::Tensor& saved) {
  const std::string where = "optimizer state \"" + name + "\"";
  if (saved.sizes() != expected.sizes()) {
    throw InputError(where + ": expected shape " + c10::str(expected.sizes()) + ", got " +
                     c10::str(saved.sizes()));
  }
  if (saved.scalar_type() != expected.scalar_type()) {
    throw InputError(where + ": expected " + c10::toString(expected.scalar_type()) + ", got " +
                     c10::toString(saved.scalar_type()));
  }
  if (!all_finite(saved)) throw InputError(where + " holds values that are not finite");
}

}  // namespace

const char* Optimizer::kind_name() const {
  for (const auto& [kind, name] : enum_table(OptimizerKind{})) {
    if (kind == options_.kind) return name;
  }
  return "";
}

std::vector<std::pair<std::string, at::Tensor>> Optimizer::state() const {
  at::Tensor counters = at::empty({2}, at::kLong);
  counters.data_ptr<int64_t>()[0] = num_updates_;
  counters.data_ptr<int64_t>()[1] = num_skipped_;
  std::vector<std::pair<std::string, at::Tensor>> result = {{kCounters, counters}};
  const auto append = [&](const StateArray& array, const char* what, const std::string& name) {
    for (auto& [part, tensor] : array.tensors(what)) result.emplace_back(part + "." + name, tensor);
  };
  for (size_t l = 0; l < parameters_.size(); ++l) {
    for (size_t i = 0; i < parameters_[l].size(); ++i) {
      const std::string& name = store_.parameters(l)[i].name;
      const Parameter& p = parameters_[l][i];
      append(p.average, p.orthogonal ? "momentum" : "exp_avg", name);
      append(p.square, "exp_avg_sq", name);
      if (masters_[l].defined()) result.emplace_back("master." + name, p.master);
    }
  }
  return result;
}

int64_t Optimizer::state_bytes() const {
  int64_t bytes = 0;
  for (const auto& layer : parameters_) {
    for (const Parameter& p : layer) {
      for (const StateArray* array : {&p.average, &p.square}) {
        for (const auto& [name, tensor] : array->tensors("")) {
          bytes += static_cast<int64_t>(tensor.nbytes());
        }
      }
    }
  }
  return bytes;
}

int64_t Optimizer::master_bytes() const {
  int64_t bytes = 0;
  for (const at::Tensor& masters : masters_) {
    if (masters.defined()) bytes += static_cast<int64_t>(masters.nbytes());
  }
  return bytes;
}

std::map<std::string, at::Tensor> Optimizer::named_by_parameter(
    const std::map<std::string, at::Tensor>& saved) const {
  int64_t total = 0;
  for (size_t l = 0; l < store_.num_layers(); ++l) {
    for (const StoredParameter& p : store_.parameters(l)) total += p.tensor->numel();
  }
  std::map<std::string, at::Tensor> result = saved;
  for (const auto& [old, prefix] : kFlatNames) {
    const auto found = saved.find(old);
    if (found == saved.end()) continue;
    if (found->second.numel() != total) {
      throw InputError(std::string("optimizer state \"") + old + "\": expected " +
                       std::to_string(total) + " values, got " +
                       std::to_string(found->second.numel()));
    }
    int64_t offset = 0;
    for (size_t l = 0; l < store_.num_layers(); ++l) {
      for (const StoredParameter& p : store_.parameters(l)) {
        result[prefix + p.name] =
            found->second.narrow(0, offset, p.tensor->numel()).view(p.tensor->sizes());
        offset += p.tensor->numel();
      }
    }
    result.erase(old);
  }
  return result;
}

void Optimizer::load_state(std::map<std::string, at::Tensor> saved, const std::string& kind) {
  at::NoGradGuard no_grad;
  if (!kind.empty() && kind != kind_name()) {
    throw InputError("the optimizer state is of learn.optimizer = \"" + kind +
                     "\", this run's is \"" + kind_name() + "\"");
  }
  saved = named_by_parameter(saved);
  const auto own = state();
  for (const auto& [name, tensor] : own) {
    const auto found = saved.find(name);
    if (found == saved.end()) throw InputError("optimizer state \"" + name + "\" is missing");
    check_saved(name, tensor, found->second);
  }
  std::set<std::string> known;
  for (const auto& [name, tensor] : own) known.insert(name);
  for (const auto& [name, tensor] : saved) {
    if (!known.contains(name)) {
      throw InputError("tensor \"" + name + "\" has no place in this run");
    }
  }
  for (const auto& [name, tensor] : own) {
    if (name != kCounters) tensor.copy_(saved.at(name));
  }
  const at::Tensor counters = saved.at(kCounters).contiguous();
  num_updates_ = counters.data_ptr<int64_t>()[0];
  num_skipped_ = counters.data_ptr<int64_t>()[1];
  for (size_t l = 0; l < parameters_.size(); ++l) write_back(l);
}

}  // namespace weft
