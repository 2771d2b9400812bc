#include "trainer/learn/run/start.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/device.h"

namespace weft {
namespace {

constexpr double kGb = 1e9;

// Nothing where there is no plan: that is a problem of its own.
int64_t planned_bytes(const std::function<Json()>& memory_plan) {
  try {
    return memory_plan().at("total").get<int64_t>();
  } catch (const InputError&) {
    return 0;
  }
}

}  // namespace

void check_trainer_start(const TrainerParts& parts, StartCheck& check) {
  check.model_folder("model", parts.model);
  if (!parts.init_adapter.empty()) check.adapter_folder("init_adapter", parts.init_adapter);
  check.run_folder("out", parts.out);
  bool on_cpu = false;
  check.without_error([&] { on_cpu = resolve_device(parts.device).library == nullptr; });
  if (parts.for_a_card) return;
  const int64_t planned = on_cpu ? planned_bytes(parts.memory_plan) : 0;
  if (planned <= memory_limit()) return;
  check.add(fmt::format("memory: the run needs {:.1f} GB, this machine has {:.1f} GB",
                        static_cast<double>(planned) / kGb,
                        static_cast<double>(memory_limit()) / kGb));
}

}  // namespace weft
