/// Methods side by side on tasks, scored on tests kept for that. See program.h.
#include <filesystem>
#include <iostream>

#include "model/open_model.h"
#include "trainer/evaluate/evaluate_program.h"
#include "trainer/usage_file.h"

using Config = weft::WithModels<weft::EvaluateConfig>;

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "evaluate",
      "Compares baselines, fixed workflows, meta-agents and files of samples on final tests.",
      {{"--model", "model", "base model"},
       {"--tasks", "tasks", "task file"},
       {"--compare", "compare", "two folders of finished runs"}},
      true};
  return weft::run_program<Config>(
      argc, argv, spec, [](const Config& config, const weft::ProgramArgs& args) {
        if (!config.compare.empty()) {
          std::cout << weft::run_compare(config, args);
          return;
        }
        weft::OpenModels models(config.local);
        const weft::UsageFile usage(std::filesystem::path(config.out) / "usage.json",
                                    [&] { return models.usage(); });
        const weft::EvaluateModels opened = {
            [&]() -> weft::TextModel& { return models.open(config.worker); },
            [&models](const weft::Method& method) {
              const auto checkpoint = models.open_checkpoint(method.source);
              return weft::MetaModel{checkpoint.model, checkpoint.adapter};
            },
            config.run_models(models)};
        weft::run_evaluate(config, args, opened);
      });
}
