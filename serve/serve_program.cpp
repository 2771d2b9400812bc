#include "serve/serve_program.h"

#include <memory>
#include <optional>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "data/provenance.h"
#include "data/trajectory_store.h"
#include "workflow/pool.h"

namespace weft {

namespace {

/// The last part of a model's directory, or the name as it is.
std::string short_name(const std::string& name) {
  const fs::path path = fs::path(name).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

/// "taught by ...", or "" where it is not known.
std::string taught_by(const std::string& dir) {
  std::string text;
  for (const std::string& teacher : provenance_of(dir).teachers) {
    text += (text.empty() ? "taught by " : "; ") + teacher_words(teacher);
  }
  return text;
}

/// The sandbox and what stands on it.
class WorkflowParts {
 public:
  WorkflowParts(const ServeConfig& config, const ServedName& writer, TextModel& model,
                TextModel& worker)
      : pool_(read_pool(config.store)),
        bench_(config.workbench),
        service_(model, writer.adapter, writer.id,
                 make_workflow_backend(bench_, worker, config.workbench.runner,
                                       pool_ ? &*pool_ : nullptr, config.pool_min_similarity),
                 config.max_workflow_tokens) {}

  const WorkflowService& service() const { return service_; }

 private:
  static std::optional<WorkflowPool> read_pool(const std::string& store) {
    if (store.empty()) return std::nullopt;
    return WorkflowPool(TrajectoryStore(store, StoreAccess::kRead).select());
  }

  std::optional<WorkflowPool> pool_;
  Workbench bench_;
  WorkflowService service_;
};

}  // namespace

void ServeConfig::validate() const {
  http.validate();
  workbench.validate();
  require_at_least("max_workflow_tokens", max_workflow_tokens, 1);
  require_share("pool_min_similarity", pool_min_similarity);
}

void run_serve(const ServeConfig& config, ServedModel served, const std::string& adapter,
               TextModel& worker) {
  served.names = {
      {config.served_name.empty() ? short_name(served.model->name()) : config.served_name, "",
       provenance_of(served.model->name()).label}};
  if (!adapter.empty()) {
    if (served.names[0].id == config.adapter_name) {
      throw InputError("adapter_name: \"" + config.adapter_name + "\" is the base's name already");
    }
    served.names.push_back({config.adapter_name, adapter, taught_by(served.adapter_dir)});
  }
  std::unique_ptr<WorkflowParts> parts;
  if (config.workflows) {
    parts = std::make_unique<WorkflowParts>(config, served.names.back(), *served.model, worker);
  }
  Server server(served, parts ? &parts->service() : nullptr, config.workbench.runner.budget,
                config.http);
  serve_until_stopped(server);
}

}  // namespace weft
