#include "base/check.h"
#include "base/file.h"
#include "base/machine.h"
#include "trainer/evaluate/evaluation.h"

namespace weft {

std::string fixed_workflow_code(const Method& method, const Task& task,
                                const EvaluationOptions& options) {
  const CodeForm code = code_form(task);
  if (method.spec == "io") return io_workflow(task.kind, code, options.io_temperature);
  if (method.spec == "io_greedy") return io_workflow(task.kind, code, 0);
  if (method.spec == "cot") return cot_workflow(task.kind, code, options.cot_temperature);
  if (method.spec == "cot_greedy") return cot_workflow(task.kind, code, 0);
  if (method.spec == "cot_sc") {
    return cot_sc_workflow(task.kind, options.cot_sc_samples, code, options.cot_sc_temperature);
  }
  return read_file(method.source);
}

void EvaluationOptions::validate() const {
  require_at_least("samples_per_task", samples_per_task, 1);
  require_room("samples_per_task", samples_per_task, kRecordBytes);
  parse_score_rule(score);
  require_at_least("io_temperature", io_temperature, 0);
  require_at_least("cot_temperature", cot_temperature, 0);
  require_at_least("cot_sc_samples", cot_sc_samples, 1);
  require_room("cot_sc_samples", cot_sc_samples, kRecordBytes);
  if (cot_sc_samples > 1) require_above("cot_sc_temperature", cot_sc_temperature, 0);
  require_at_least("cot_sc_temperature", cot_sc_temperature, 0);
  require_at_least("meta_temperature", meta_temperature, 0);
  require_above("meta_top_p", meta_top_p, 0);
  require_share("meta_top_p", meta_top_p);
  require_at_least("meta_max_tokens", meta_max_tokens, 1);
  require_room("meta_max_tokens", meta_max_tokens, kTokenBytes);
  require_share("pool_min_similarity", pool_min_similarity);
  budget.validate();
  require_concurrent("max_in_flight", max_in_flight);
  require_at_least("trace_bytes", trace_bytes, 0);
  require_room("trace_bytes", trace_bytes, 1);
}

}  // namespace weft
