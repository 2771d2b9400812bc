/// A teacher's workflows with execution feedback, joined into traces; see
/// trainer/search/programs.h.
#include <filesystem>

#include "base/log.h"
#include "model/open_model.h"
#include "trainer/search/search_programs.h"
#include "trainer/usage_file.h"

namespace {

struct Config : weft::WithModels<weft::CollectTracesConfig> {
  weft::ModelOptions teacher_model;

  template <class V>
  void visit(V& v) {
    WithModels::visit(v);
    v("teacher_model", teacher_model, "model that teaches, with teacher.kind=model");
  }
  void check_start(weft::StartCheck& check) const {
    WithModels::check_start(check);
    const bool writes = teacher.kind == weft::GeneratorKind::kModel;
    if (writes) teacher_model.check_start("teacher_model", local, check);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "collect_traces",
      "Lets a teacher write workflows, executes them, feeds back, and stores joined traces.",
      {{"--model", "model", "base model"}, {"--tasks", "tasks", "task file"}},
      true};
  return weft::run_program<Config>(
      argc, argv, spec, [](const Config& config, const weft::ProgramArgs& args) {
        weft::OpenModels models(config.local);
        const weft::UsageFile usage(std::filesystem::path(config.out) / "usage.json",
                                    [&] { return models.usage(); });
        const bool scripted = config.teacher.kind == weft::GeneratorKind::kScripted;
        weft::TextModel* teacher = scripted ? nullptr : &models.open(config.teacher_model);
        auto told = config.run_models(models);
        if (!scripted) weft::add_inputs(told.inputs, "teacher_model", config.teacher_model);
        weft::run_collect_traces(config, args, teacher, models.open(config.worker), told);
        weft::log::info("traces in {0}/store.sqlite, summary in {0}/report.json", config.out);
      });
}
