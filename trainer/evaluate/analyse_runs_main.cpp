/// What recorded runs of workflows say of choosing one for each query. See program.h.
#include <iostream>

#include "base/stop.h"
#include "trainer/evaluate/workflow_runs/analyse_program.h"
#include "trainer/evaluate/workflow_runs/runs_markdown.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "analyse_runs",
      "Says from recorded runs of workflows what choosing one for each query could give.",
      {{"--in", "in", "recorded runs, one file a set"}}};
  return weft::run_program<weft::AnalyseRunsConfig>(
      argc, argv, spec, [](const weft::AnalyseRunsConfig& config, const weft::ProgramArgs& args) {
        weft::install_stop_handlers();
        std::cout << weft::runs_markdown(weft::run_analysis(config, args));
      });
}
