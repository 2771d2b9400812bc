// struck_train_grpo WHAT CALL ARGUMENTS...: train_grpo, which something happens to when its
// optimizer updates a layer for the CALLth time: SIGTERM ("stop"), or the host's memory is full
// from there on ("memory").
#include <csignal>
#include <cstdlib>
#include <string>

#include "base/program.h"
#include "tests/support/host_memory.h"
#include "tests/support/operator_watch.h"
#include "trainer/learn/grpo/train_grpo_program.h"

namespace {

constexpr int64_t kSpare = 64 << 10;  // enough to save a checkpoint, too little for a pass

}  // namespace

int main(int argc, char** argv) {
  using weft::test::HostMemory;
  if (argc < 3) return 2;
  const bool stops = argv[1] == std::string("stop");
  int64_t calls_left = std::atoll(argv[2]);
  if (!stops) HostMemory::get();
  const weft::test::OperatorWatch watch([&](std::string_view name) {
    if (name != "aten::_fused_adamw_" || --calls_left != 0) return;
    if (stops) raise(SIGTERM);
    if (!stops) HostMemory::get().set_limit(HostMemory::get().live_bytes() + kSpare);
  });
  argv[2] = argv[0];
  const weft::ProgramSpec spec = {"train_grpo", "struck", {}, /*resumable=*/true};
  return weft::run_program<weft::GrpoConfig>(
      argc - 2, argv + 2, spec, [](const weft::GrpoConfig& config, const weft::ProgramArgs& args) {
        weft::run_train_grpo(config, args.resume, args.config, {});
      });
}
