/// Searches workflows by executing them; see trainer/search/programs.h.
#include <filesystem>

#include "base/log.h"
#include "model/open_model.h"
#include "trainer/search/search_programs.h"
#include "trainer/usage_file.h"

namespace {

struct Config : weft::WithModels<weft::SampleWorkflowsConfig> {
  weft::ModelOptions generator_model;

  template <class V>
  void visit(V& v) {
    WithModels::visit(v);
    v("generator_model", generator_model, "model that writes, with generator.kind=model");
  }
  void check_start(weft::StartCheck& check) const {
    WithModels::check_start(check);
    const bool writes = generator.kind == weft::GeneratorKind::kModel;
    if (writes) generator_model.check_start("generator_model", local, check);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "sample_workflows",
      "Searches workflows by bayesflow, aflow, adas or at random, executing each one.",
      {{"--model", "model", "base model"}, {"--tasks", "tasks", "task file"}},
      true};
  return weft::run_program<Config>(
      argc, argv, spec, [](const Config& config, const weft::ProgramArgs& args) {
        weft::OpenModels models(config.local);
        const weft::UsageFile usage(std::filesystem::path(config.out) / "usage.json",
                                    [&] { return models.usage(); });
        const bool scripted = config.generator.kind == weft::GeneratorKind::kScripted;
        weft::TextModel* generator = scripted ? nullptr : &models.open(config.generator_model);
        auto told = config.run_models(models);
        if (!scripted) weft::add_inputs(told.inputs, "generator_model", config.generator_model);
        weft::run_sample_workflows(config, args, generator, models.open(config.worker), told);
        weft::log::info("workflows in {0}/store.sqlite, summary in {0}/report.json", config.out);
      });
}
