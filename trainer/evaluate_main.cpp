/// Methods side by side on tasks, scored on hidden tests. See program.h.
#include <filesystem>

#include "model/open_model.h"
#include "trainer/evaluate/program.h"
#include "trainer/usage_file.h"

using Config = weft::WithModels<weft::EvaluateConfig>;

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "evaluate",
      "Compares io, cot, cot_sc, fixed workflows and meta-agents on hidden tests.",
      {{"--model", "model", "base model"}, {"--tasks", "tasks", "task file"}},
      true};
  return weft::run_program<Config>(
      argc, argv, spec, [](const Config& config, const weft::ProgramArgs& args) {
        weft::OpenModels models(config.local);
        const weft::UsageFile usage(std::filesystem::path(config.out) / "usage.json",
                                    [&] { return models.usage(); });
        const auto meta_model = [&models](const weft::Method& method) {
          const auto opened = models.open_checkpoint(method.source);
          return weft::MetaModel{opened.model, opened.adapter};
        };
        weft::run_evaluate(config, args, models.open(config.worker), meta_model);
      });
}
