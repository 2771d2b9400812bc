#include "base/program.h"
#include "base/stop.h"
#include "sandbox/judge/judge_program.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec{
      "judge",
      "Judges candidate programs in jailed processes.",
      {{"--in", "in", "candidates, JSON lines"}, {"--jobs", "jobs", "candidates at a time"}},
      true};
  return weft::run_program<weft::JudgeConfig>(
      argc, argv, spec, [](const weft::JudgeConfig& config, const weft::ProgramArgs& args) {
        weft::install_stop_handlers();
        weft::run_judge(config, args.resume);
      });
}
