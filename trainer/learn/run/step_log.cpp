#include "trainer/learn/run/step_log.h"

namespace weft {

StepLog::StepLog(const std::filesystem::path& run_dir, const std::string& rows_file, int64_t step,
                 const Json& unwritten)
    : rows_path_(run_dir / rows_file) {
  const int64_t last_whole = unwritten.is_null() ? step : step - 1;
  move_later_steps_aside(rows_path_, last_whole);
  metrics_ = std::make_unique<MetricWriter>(run_dir, last_whole);
  if (unwritten.is_null()) return;
  write(step, get_field<Json>(unwritten, "metrics", "unwritten"),
        get_field<std::vector<Json>>(unwritten, "rows", "unwritten"));
}

void StepLog::write(int64_t step, const Json& metrics, const std::vector<Json>& rows) {
  unwritten_ = {{"metrics", metrics}, {"rows", rows}};
  if (!rows.empty() && !rows_) rows_ = std::make_unique<JsonlWriter>(rows_path_, /*append=*/true);
  for (const Json& row : rows) rows_->write(row);
  metrics_->write(step, metrics);
  unwritten_ = nullptr;
}

}  // namespace weft
