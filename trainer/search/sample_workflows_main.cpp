/// Searches workflows for tasks and runs each one. See sample_workflows.h.
#include "base/file.h"
#include "base/log.h"
#include "model/open_model.h"
#include "trainer/search/programs.h"

namespace {

struct Config : weft::SampleWorkflowsConfig {
  weft::LocalOptions local;
  weft::ModelOptions worker, generator_model;

  template <class V>
  void visit(V& v) {
    SampleWorkflowsConfig::visit(v);
    local.visit(v);
    v("worker", worker, "model behind call_llm");
    v("generator_model", generator_model, "model that writes workflows, with generator.kind model");
  }
  void validate() const {
    SampleWorkflowsConfig::validate();
    local.validate();
  }
};

}  // namespace

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "sample_workflows",
      "Search over workflows, every one executed in the sandbox.",
      {{"--model", "model", "base model"}, {"--tasks", "tasks", "task file"}}};
  return weft::run_program<Config>(
      argc, argv, spec, [](const Config& config, const weft::ProgramArgs& args) {
        weft::OpenModels models(config.local);
        weft::TextModel* generator = config.generator.kind == weft::GeneratorKind::kModel
                                         ? &models.open(config.generator_model)
                                         : nullptr;
        const auto report =
            weft::run_sample_workflows(config, args, generator, models.open(config.worker));
        weft::write_file_atomically(std::filesystem::path(config.out) / "usage.json",
                                    weft::dump_json_pretty(models.usage()));
        weft::log::info("report in {}/report.json, workflows in {}/store.sqlite", config.out,
                        config.out);
      });
}
