#include "serve/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::HasSubstr;

TEST(ServerMetrics, CountsTokensAndFinishReasons) {
  ServerMetrics metrics;
  TextResponse response;
  response.usage = {10, 4, 0};
  response.choices.resize(2);
  response.choices[0].finish = FinishReason::kStop;
  metrics.count_request({response}, 0.02, 0.2);
  const std::string text = metrics.text("m", {3, 1, 0.25, 90, 64, 5}, 2);
  EXPECT_THAT(text, HasSubstr("vllm:prompt_tokens_total{model_name=\"m\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("vllm:generation_tokens_total{model_name=\"m\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("finished_reason=\"stop\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("finished_reason=\"length\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("vllm:num_requests_running{model_name=\"m\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("vllm:kv_cache_usage_perc{model_name=\"m\"} 0.25\n"));
  EXPECT_THAT(text, HasSubstr("vllm:prefix_cache_queries_total{model_name=\"m\"} 90\n"));
  EXPECT_THAT(text, HasSubstr("vllm:prefix_cache_hits_total{model_name=\"m\"} 64\n"));
  EXPECT_THAT(text, HasSubstr("vllm:num_preemptions_total{model_name=\"m\"} 5\n"));
}

TEST(ServerMetrics, TellWhatBecameOfWorkflowsThatAreToBeStored) {
  ServerMetrics metrics;
  EXPECT_EQ(metrics.text("m", {}, 0).find("weft:workflows_stored"), std::string::npos);
  const std::string text = metrics.text("m", {}, 0, TrajectoryLog::Counts{5, 3, 2});
  EXPECT_THAT(text, HasSubstr("weft:workflows_stored_total{model_name=\"m\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("weft:workflows_waiting{model_name=\"m\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("weft:workflows_lost_total{model_name=\"m\"} 2\n"));
}

TEST(ServerMetrics, HistogramIsCumulative) {
  Histogram histogram;
  for (double value : {0.002, 0.02, 400.0}) histogram.add(value);
  const std::string text = histogram.text("h", "a=\"b\"");
  EXPECT_THAT(text, HasSubstr("h_bucket{a=\"b\",le=\"0.005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("h_bucket{a=\"b\",le=\"300\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("h_bucket{a=\"b\",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("h_count{a=\"b\"} 3\n"));
}

TEST(ServerMetrics, LabelsAreEscaped) {
  ServerMetrics metrics;
  EXPECT_THAT(metrics.text("a\"b\\c", {}, 0), HasSubstr(R"(model_name="a\"b\\c")"));
}

}  // namespace
}  // namespace weft
