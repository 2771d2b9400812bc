#include "serve/metrics.h"

#include <fmt/format.h>

#include "serve/response.h"

namespace weft {

namespace {

std::string metric(const char* name, const char* type, const char* help) {
  return fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

template <class T>
std::string gauge(const char* name, const char* help, const std::string& labels, T value) {
  return metric(name, "gauge", help) + fmt::format("{}{{{}}} {}\n", name, labels, value);
}

std::string counter(const char* name, const char* help, const std::string& labels, int64_t value) {
  return metric(name, "counter", help) + fmt::format("{}{{{}}} {}\n", name, labels, value);
}

std::string counters(const char* name, const char* help, const std::string& labels, const char* key,
                     const std::map<std::string, int64_t>& values) {
  std::string text = metric(name, "counter", help);
  for (const auto& [value, count] : values) {
    text += fmt::format("{}{{{},{}=\"{}\"}} {}\n", name, labels, key, escaped(value), count);
  }
  return text;
}

}  // namespace

void Histogram::add(double value) {
  size_t bucket = 0;
  while (bucket < kBounds.size() && value > kBounds[bucket]) ++bucket;
  ++counts_[bucket];
  ++total_;
  sum_ += value;
}

std::string Histogram::text(const std::string& name, const std::string& labels) const {
  std::string text = fmt::format("# TYPE {} histogram\n", name);
  int64_t below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    below += counts_[i];
    text += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels, kBounds[i], below);
  }
  text += fmt::format("{}_bucket{{{},le=\"+Inf\"}} {}\n", name, labels, total_);
  return text +
         fmt::format("{0}_sum{{{1}}} {2}\n{0}_count{{{1}}} {3}\n", name, labels, sum_, total_);
}

void ServerMetrics::count_http(const std::string& path, int status) {
  const std::lock_guard lock(mutex_);
  ++http_[{path, status}];
}

void ServerMetrics::count_request(const std::vector<TextResponse>& responses, double first_token_s,
                                  double total_s) {
  const AnswerUsage usage = usage_of(responses);
  const std::lock_guard lock(mutex_);
  for (const TextResponse& response : responses) {
    if (response.status != ResponseStatus::kOk) {
      ++finished_[response.status == ResponseStatus::kCancelled ? "abort" : "error"];
    }
    for (const Completion& choice : response.choices) ++finished_[to_string(choice.finish)];
  }
  prompt_tokens_ += usage.prompt_tokens;
  generation_tokens_ += usage.completion_tokens;
  if (first_token_s >= 0) first_token_.add(first_token_s);
  latency_.add(total_s);
}

void ServerMetrics::count_workflow(const std::string& outcome, int64_t worker_calls,
                                   double total_s) {
  const std::lock_guard lock(mutex_);
  ++workflows_[outcome];
  worker_calls_ += worker_calls;
  workflow_latency_.add(total_s);
}

std::string ServerMetrics::text(const std::string& model_name, const ModelLoad& load,
                                int64_t in_flight,
                                const std::optional<TrajectoryLog::Counts>& kept) const {
  const std::lock_guard lock(mutex_);
  const std::string labels = fmt::format("model_name=\"{}\"", escaped(model_name));
  std::string text;
  text += gauge("vllm:num_requests_running", "Sequences and prompts being computed", labels,
                load.running);
  text += gauge("vllm:num_requests_waiting", "Requests of which nothing is computed yet", labels,
                load.queued);
  text += gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 1 is full", labels,
                load.kv_used);
  text += counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache",
                  labels, load.prompt_tokens);
  text += counter("vllm:prefix_cache_hits_total", "Prompt tokens found there", labels,
                  load.cached_tokens);
  text += counter("vllm:num_preemptions_total", "Sequences that lost their cache for a while",
                  labels, load.preemptions);
  text += gauge("weft:http_requests_in_flight", "Generation and workflow requests being answered",
                labels, in_flight);
  text += counter("vllm:prompt_tokens_total", "Prompt tokens", labels, prompt_tokens_);
  text += counter("vllm:generation_tokens_total", "Sampled tokens", labels, generation_tokens_);
  text += counters("vllm:request_success_total", "Finished choices by reason", labels,
                   "finished_reason", finished_);
  text += first_token_.text("vllm:time_to_first_token_seconds", labels);
  text += latency_.text("vllm:e2e_request_latency_seconds", labels);
  text += counters("weft:workflows_total", "Workflow requests by outcome", labels, "outcome",
                   workflows_);
  text += counter("weft:worker_calls_total", "Worker calls of workflows", labels, worker_calls_);
  text += workflow_latency_.text("weft:workflow_latency_seconds", labels);
  if (kept) {
    text += counter("weft:workflows_stored_total", "Written workflows in the trajectory store",
                    labels, kept->stored);
    text +=
        gauge("weft:workflows_waiting", "Those that are still to be stored", labels, kept->waiting);
    text += counter("weft:workflows_lost_total", "Those that the store could not take", labels,
                    kept->lost);
  }
  text += metric("http_requests_total", "counter", "HTTP requests by path and status");
  for (const auto& [key, count] : http_) {
    text += fmt::format("http_requests_total{{handler=\"{}\",status=\"{}\"}} {}\n",
                        escaped(key.first), key.second, count);
  }
  return text;
}

}  // namespace weft
