/// The OpenAI-compatible server and the meta-agent behind it. See program.h.
#include <algorithm>
#include <utility>

#include "base/program.h"
#include "model/open_model.h"
#include "serve/serve_program.h"

namespace {

struct Config : weft::WithModels<weft::ServeConfig> {
  std::string adapter;

  template <class V>
  void visit(V& v) {
    WithModels::visit(v);
    v("adapter", adapter,
      "checkpoint that writes workflows, PEFT or Hugging Face; empty: the base");
  }
  void check_start(weft::StartCheck& check) const {
    WithModels::check_start(check);
    local.check_checkpoint("adapter", adapter, check);
  }
};

weft::ServedModel served_by(weft::Engine& engine, int64_t max_context) {
  const int64_t limit = engine.model().config().max_positions;
  weft::ServedModel served;
  served.model = &engine;
  served.tokenizer = engine.tokenizer();
  served.chat_template = engine.chat_template();
  served.max_context = max_context > 0 ? std::min(max_context, limit) : limit;
  served.load = [&engine] {
    const weft::EngineStats s = engine.stats();
    const double blocks = static_cast<double>(std::max<int64_t>(1, s.kv_blocks_total));
    const double used = static_cast<double>(s.kv_blocks_used) / blocks;
    return weft::ModelLoad{s.running,       s.queued,        used,
                           s.prompt_tokens, s.cached_tokens, s.preemptions};
  };
  return served;
}

}  // namespace

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {"serve",
                                  "Serves a model over OpenAI's HTTP interface, and workflows.",
                                  {{"--model", "model", "Hugging Face directory"},
                                   {"--adapter", "adapter", "checkpoint that writes workflows"},
                                   {"--port", "port", "port to listen on, 0: a free one"}}};
  return weft::run_program<Config>(
      argc, argv, spec, [](const Config& config, const weft::ProgramArgs&) {
        weft::OpenModels models(config.local);
        const auto meta = config.adapter.empty() ? weft::OpenedModel{&models.base(), ""}
                                                 : models.open_checkpoint(config.adapter);
        auto& engine = dynamic_cast<weft::Engine&>(*meta.model);
        weft::ServedModel served = served_by(engine, config.local.engine.max_context);
        served.adapter_dir = config.adapter;
        weft::run_serve(config, std::move(served), meta.adapter, models.open(config.worker));
      });
}
