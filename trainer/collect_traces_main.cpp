/// A teacher's workflows with execution feedback, joined into traces; see
/// trainer/search/programs.h.
#include <filesystem>
#include <iterator>
#include <memory>

#include "base/log.h"
#include "model/open_model.h"
#include "model/tokenizer/tokenizer.h"
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
    const bool writes = teacher.kind == weft::GeneratorKind::kModel && from.empty();
    if (writes) teacher_model.check_start("teacher_model", local, check);
  }
};

weft::TokenCounter token_counter(const std::string& path) {
  if (path.empty()) return {};
  return [tokenizer = std::shared_ptr(weft::Tokenizer::load(path))](const std::string& text) {
    return std::ssize(tokenizer->encode(text, false, false));
  };
}

}  // namespace

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "collect_traces",
      "Lets a teacher write workflows, executes them, feeds back, and stores joined traces.",
      {{"--model", "model", "base model"},
       {"--tasks", "tasks", "task file"},
       {"--from", "from", "store to export, with no teacher"}},
      true};
  return weft::run_program<Config>(
      argc, argv, spec, [](const Config& config, const weft::ProgramArgs& args) {
        const weft::TokenCounter count_tokens = token_counter(config.filter.tokenizer);
        if (!config.from.empty()) return void(run_export_traces(config, args, count_tokens));
        weft::OpenModels models(config.local);
        const weft::UsageFile usage(std::filesystem::path(config.out) / "usage.json",
                                    [&] { return models.usage(); });
        const bool scripted = config.teacher.kind == weft::GeneratorKind::kScripted;
        weft::TextModel* teacher = scripted ? nullptr : &models.open(config.teacher_model);
        auto told = config.run_models(models);
        if (!scripted) weft::add_inputs(told.inputs, "teacher_model", config.teacher_model);
        weft::run_collect_traces(config, args, teacher, models.open(config.worker), told,
                                 count_tokens);
        weft::log::info("store.sqlite, traces.jsonl and report.json in {}", config.out);
      });
}
