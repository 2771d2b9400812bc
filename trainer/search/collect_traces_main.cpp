/// Collects traces of workflows from a teacher, with execution feedback. See collect_traces.h.
#include "base/file.h"
#include "base/log.h"
#include "model/open_model.h"
#include "trainer/search/programs.h"

namespace {

struct Config : weft::CollectTracesConfig {
  weft::LocalOptions local;
  weft::ModelOptions worker, teacher_model;

  template <class V>
  void visit(V& v) {
    CollectTracesConfig::visit(v);
    local.visit(v);
    v("worker", worker, "model behind call_llm");
    v("teacher_model", teacher_model, "model that teaches, with teacher.kind model");
  }
  void validate() const {
    CollectTracesConfig::validate();
    local.validate();
  }
};

}  // namespace

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "collect_traces",
      "Traces from a teacher: rounds of workflows with execution feedback.",
      {{"--model", "model", "base model"}, {"--tasks", "tasks", "task file"}}};
  return weft::run_program<Config>(
      argc, argv, spec, [](const Config& config, const weft::ProgramArgs& args) {
        weft::OpenModels models(config.local);
        weft::TextModel* teacher = config.teacher.kind == weft::GeneratorKind::kModel
                                       ? &models.open(config.teacher_model)
                                       : nullptr;
        const auto report =
            weft::run_collect_traces(config, args, teacher, models.open(config.worker));
        weft::write_file_atomically(std::filesystem::path(config.out) / "usage.json",
                                    weft::dump_json_pretty(models.usage()));
        weft::log::info("report in {}/report.json, workflows in {}/store.sqlite", config.out,
                        config.out);
      });
}
