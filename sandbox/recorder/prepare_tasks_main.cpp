#include "base/program.h"
#include "base/stop.h"
#include "sandbox/recorder/prepare_tasks_program.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec{
      "prepare_tasks",
      "Records a benchmark's tests by running its reference solutions in jailed processes.",
      {{"--dataset", "dataset", "humaneval, humaneval_plus, mbpp or mbpp_plus"},
       {"--in", "in", "the benchmark's files, separated by commas"},
       {"--augment", "augment", "most tests on mutated inputs to add to each val"}}};
  return weft::run_program<weft::PrepareTasksConfig>(
      argc, argv, spec, [](const weft::PrepareTasksConfig& config, const weft::ProgramArgs&) {
        weft::install_stop_handlers();
        weft::run_prepare_tasks(config);
      });
}
