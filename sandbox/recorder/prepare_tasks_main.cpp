#include "base/program.h"
#include "base/stop.h"
#include "sandbox/recorder/prepare_tasks_program.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec{
      "prepare_tasks",
      "Makes tasks of a benchmark's public files. Where tests have to be recorded, its reference "
      "solutions run in jailed processes.",
      {{"--dataset", "dataset", "name of the benchmark: humaneval, gsm8k, ..."},
       {"--in", "in", "the benchmark's files, separated by commas"},
       {"--split", "split", "all, aflow_validation or aflow_test"},
       {"--augment", "augment", "most tests on mutated inputs to add to each val"}}};
  return weft::run_program<weft::PrepareTasksConfig>(
      argc, argv, spec, [](const weft::PrepareTasksConfig& config, const weft::ProgramArgs&) {
        weft::install_stop_handlers();
        weft::run_prepare_tasks(config);
      });
}
