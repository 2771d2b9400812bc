/// What /metrics shows, in Prometheus' text format. Names of requests and tokens are vLLM's, so
/// that its dashboards and autoscalers work; what only this server has begins with "weft:".
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "data/trajectory_log.h"
#include "model/text_model.h"

namespace weft {

/// State of the model behind the server at one moment.
struct ModelLoad {
  int64_t running = 0;  ///< as EngineStats counts them
  int64_t queued = 0;
  double kv_used = 0;  ///< share of the KV cache in use, in [0, 1]
  // Counters since the start.
  int64_t prompt_tokens = 0;  ///< looked up in the prefix cache
  int64_t cached_tokens = 0;  ///< found there
  int64_t preemptions = 0;
};

/// Cumulative histogram over fixed upper bounds.
class Histogram {
 public:
  void add(double value);
  /// Lines of one metric; `labels` without braces, e.g. `model_name="m"`.
  std::string text(const std::string& name, const std::string& labels) const;

 private:
  static constexpr std::array<double, 14> kBounds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.3, 0.5,
                                                     1,     2.5,   5,    10,   30,  60,  300};
  std::array<int64_t, kBounds.size() + 1> counts_{};
  int64_t total_ = 0;
  double sum_ = 0;
};

/// Thread-safe.
class ServerMetrics {
 public:
  /// Every path is kept for good: it must be one of the server's own routes.
  void count_http(const std::string& path, int status);
  /// One finished generation request.
  void count_request(const std::vector<TextResponse>& responses, double first_token_s,
                     double total_s);
  void count_workflow(const std::string& outcome, int64_t worker_calls, double total_s);
  /// `kept` is of the store that workflows go to, where there is one.
  std::string text(const std::string& model_name, const ModelLoad& load, int64_t in_flight,
                   const std::optional<TrajectoryLog::Counts>& kept = {}) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> http_;
  std::map<std::string, int64_t> finished_, workflows_;
  int64_t prompt_tokens_ = 0, generation_tokens_ = 0, worker_calls_ = 0;
  Histogram first_token_, latency_, workflow_latency_;
};

}  // namespace weft
