// struck_train_sft CALL ARGUMENTS...: train_sft, which gets SIGTERM when it scatters gradients to
// rows for the CALLth time; 0: never. The first time in a microbatch is between its head and the
// backward passes of its layers. Ends with the number of times on standard output.
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
  int64_t calls = 0;
  const weft::test::OperatorWatch watch([&](std::string_view name) {
    if (name == "aten::index_add_" && ++calls == call) raise(SIGTERM);
  });
  argv[1] = argv[0];
  const weft::ProgramSpec spec = {"train_sft", "struck", {}, /*resumable=*/true};
  const int code = weft::run_program<weft::SftConfig>(
      argc - 1, argv + 1, spec, [](const weft::SftConfig& config, const weft::ProgramArgs& args) {
        weft::run_train_sft(config, args.resume, args.config, {});
      });
  std::printf("%ld\n", calls);
  return code;
}
