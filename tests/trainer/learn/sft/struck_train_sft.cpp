// struck_train_sft CALL ARGUMENTS...: train_sft, which gets SIGTERM at the CALLth of LibTorch's
// operators that its thread runs; 0: never. Ends with a line of JSON on standard output:
// {"operators": how many there were, "updated": those before the signal that update a layer}.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/program.h"
#include "tests/support/operator_watch.h"
#include "trainer/learn/sft/train_sft_program.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int64_t call = std::atoll(argv[1]);
  int64_t operators = 0, updated = 0;
  const weft::test::OperatorWatch watch([&](std::string_view name) {
    if (++operators == call) raise(SIGTERM);
    if (call == 0 || operators < call) updated += name == "aten::_fused_adamw_";
  });
  argv[1] = argv[0];
  const weft::ProgramSpec spec = {"train_sft", "struck", {}, /*resumable=*/true};
  const int code = weft::run_program<weft::SftConfig>(
      argc - 1, argv + 1, spec, [](const weft::SftConfig& config, const weft::ProgramArgs& args) {
        weft::run_train_sft(config, args.resume, args.config, {});
      });
  std::printf("{\"operators\": %ld, \"updated\": %ld}\n", operators, updated);
  return code;
}
