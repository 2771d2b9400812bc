/// The program `serve` up to the opening of models: config, sandbox, pool, server.
#pragma once

#include <cstdint>
#include <string>

#include "base/config.h"
#include "serve/server.h"
#include "workflow/pool.h"
#include "workflow/workbench.h"

namespace weft {

/// Config of serve but for its models.
struct ServeConfig {
  HttpOptions http;
  std::string served_name;                  ///< of the base weights; empty: the model folder's
  std::string adapter_name = "meta-agent";  ///< of the adapter, where one is loaded
  bool workflows = true;                    ///< false: no sandbox is started, no /v1/workflows
  int max_workflow_tokens = 768;            ///< of one written workflow
  std::string store;                        ///< trajectories that may answer near queries
  double pool_min_similarity = kPoolMinSimilarity;  ///< cosine from which one of them is used
  std::string trajectories;    ///< store that every written workflow goes to; empty: none
  WorkbenchOptions workbench;  ///< its runner's budget: requests may ask for less

  template <class V>
  void visit(V& v) {
    http.visit(v);
    v("served_name", served_name,
      "name of the base weights for clients; empty: the model folder's");
    v("adapter_name", adapter_name, "name of the adapter for clients");
    v("workflows", workflows, "offer /v1/workflows, which needs the sandbox");
    v("max_workflow_tokens", max_workflow_tokens, "most tokens of one written workflow");
    v("store", store, "trajectory store that answers near queries; empty: none");
    v("pool_min_similarity", pool_min_similarity, "cosine from which a stored workflow is used");
    v("trajectories", trajectories,
      "trajectory store that every written workflow goes to; empty: none");
    workbench.visit(v);
  }
  void validate() const;  ///< throws InputError
  void check_start(StartCheck& check) const;
  bool needs_worker() const { return workflows; }
};

/// Serves until SIGINT or SIGTERM, then throws Interrupted. `served` needs no names: they are the
/// config's. `adapter` is the loaded adapter that writes workflows (empty: the base weights do);
/// `worker` answers their calls.
void run_serve(const ServeConfig& config, ServedModel served, const std::string& adapter,
               TextModel& worker);

}  // namespace weft
