#include "serve/serve_program.h"

#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "data/provenance.h"
#include "data/trajectory_log.h"
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
  WorkflowParts(const ServeConfig& config, const ServedModel& served, TextModel& worker)
      : pool_(read_pool(config.store)),
        log_(config.trajectories.empty()
                 ? nullptr
                 : std::make_unique<TrajectoryLog>(config.trajectories, TrajectoryLog::Options{})),
        bench_(config.workbench),
        service_(*served.model, served.names.back().adapter, served.names.back().id,
                 backend(config, served, worker), config.max_workflow_tokens) {}

  const WorkflowService& service() const { return service_; }

 private:
  WorkflowBackend backend(const ServeConfig& config, const ServedModel& served, TextModel& worker) {
    WorkflowBackend backend =
        make_workflow_backend(bench_, worker, config.workbench.runner, pool_ ? &*pool_ : nullptr,
                              config.pool_min_similarity);
    if (!log_) return backend;
    const bool adapted = !served.names.back().adapter.empty();
    const std::string origin = "model:" + (adapted ? served.adapter_dir : served.model->name());
    backend.keep = [this, origin, worker_name = worker.name()](Trajectory row) {
      row.origin = origin;
      row.model_version = worker_name;
      log_->add({std::move(row)});
    };
    backend.kept = [this] { return log_->counts(); };
    return backend;
  }

  static std::optional<WorkflowPool> read_pool(const std::string& store) {
    if (store.empty()) return std::nullopt;
    return WorkflowPool(TrajectoryStore(store, StoreAccess::kRead).select());
  }

  std::optional<WorkflowPool> pool_;
  std::unique_ptr<TrajectoryLog> log_;
  Workbench bench_;
  WorkflowService service_;
};

}  // namespace

void ServeConfig::validate() const {
  http.validate();
  workbench.validate();
  require_at_least("max_workflow_tokens", max_workflow_tokens, 1);
  require_room("max_workflow_tokens", max_workflow_tokens, kTokenBytes);
  require_share("pool_min_similarity", pool_min_similarity);
}

void ServeConfig::check_start(StartCheck& check) const {
  http.check_start(check);
  if (!workflows) return;
  if (!store.empty()) check.file("store", store);
  workbench.check_start(check);
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
    parts = std::make_unique<WorkflowParts>(config, served, worker);
  }
  Server server(served, parts ? &parts->service() : nullptr, config.workbench.runner.budget,
                config.http);
  serve_until_stopped(server);
}

}  // namespace weft
