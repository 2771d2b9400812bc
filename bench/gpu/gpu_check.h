/// The engine's GPU path measured: parity with the CPU, memory bandwidth, decoding and prefill at
/// the shapes of real models with random weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "base/json.h"
#include "model/checkpoint/model_config.h"
#include "model/device.h"

namespace weft {

class Transformer;

struct GpuCheckOptions {
  std::string device = "cuda";
  std::string out = "gpu_report.json";
  bool probe = false;                     ///< only say which GPU there is
  std::string model;                      ///< a small Hugging Face directory to open on both
  double time_s = 360;                    ///< no measurement begins later than this
  std::vector<std::string> test_reports;  ///< gtest's JSON files to sum up

  template <class V>
  void visit(V& v) {
    v("device", device, "cuda[:N]");
    v("out", out, "the report, JSON");
    v("probe", probe, "only say which GPU there is");
    v("model", model, "small Hugging Face directory whose greedy text both devices must agree on");
    v("time_s", time_s, "seconds after which no measurement begins");
    v("test_reports", test_reports, "JSON files of test programs to sum up in the report");
  }
  void validate() const {}
};

/// Decoding of one shape; rates are tokens a second and may be 0: no target.
struct DecodeCase {
  std::string model;
  int64_t batch;
  double target = 0;
  bool cuda_graphs = true;
  float top_p = 1;
  bool mixed = false;        ///< contexts from nearly 0 to twice the mean, not all alike
  int64_t long_context = 0;  ///< tokens of the first sequence; 0: as the others
  bool invariant = false;    ///< EngineOptions::invariant

  /// Tokens before the first pass, of each sequence, for a mean of `context` without the long one.
  std::vector<int64_t> contexts(int64_t context) const;
  std::string name() const;  ///< for people
};

/// A decoder of the Qwen2 architecture.
TransformerConfig qwen2_shape(int64_t layers, int64_t hidden, int64_t intermediate, int64_t heads,
                              int64_t kv_heads, int64_t vocab);

/// {"name", "dtype", "worst", "bound", "ok"}: the greatest difference between the CPU's fp32 logits
/// and the GPU's in `dtype`, over a prompt in two parts and some decode passes after it.
Json check_parity(const ComputeDevice& gpu, const std::string& name,
                  const TransformerConfig& config, at::ScalarType dtype, double bound);

/// {"name", "dtype", "ids", "ok"}: whether engines that open `dir` on the GPU and on the CPU write
/// the same greedy ids in fp32.
Json check_directory(const ComputeDevice& device, const std::string& dir);

/// Bytes a second that a copy within the device's memory reads and writes, over `bytes`.
double copy_bandwidth(const ComputeDevice& gpu, int64_t bytes);

/// Decodes `passes` tokens of each sequence behind `context` tokens and compares the rate with what
/// `bandwidth` allows: the weights once and each sequence's keys and values in every pass.
Json measure_decode(const ComputeDevice& gpu, const Transformer& model, const DecodeCase& which,
                    int64_t context, int64_t passes, double bandwidth);

/// {"model", "what", "ratio"}: passes of `with` over those of `plain`, two results of
/// measure_decode of as many sequences.
Json price(const std::string& what, const Json& with, const Json& plain);

/// {"model", "extra_ms", "copy_ms", "ratio", "ok"}: by how much one long sequence lengthens a pass,
/// beside what reading its keys and values takes at `bandwidth`; ok up to 1.3 times.
Json price_of_long(const Json& with, const Json& plain, double bandwidth);

/// Computes `tokens` of a prompt several times, behind `before` others.
Json measure_prefill(const ComputeDevice& gpu, const Transformer& model, const std::string& name,
                     int64_t tokens, int64_t before);

/// {"file", "tests", "skipped", "failed": [{"name", "message"}], "ok"} of gtest's JSON file; not ok
/// where a case was skipped, or with a "reason" where there is no such file.
Json test_summary(const std::string& path);

/// Runs everything and writes the report anew after each part: "gpu" or "reason" why there is none,
/// "tests", "parity", "copy_gb_s", "decode", "prices", "prefill", "left_out", "seconds", "ok".
/// Throws InputError without a GPU, Error if a parity check or a test failed.
void run_gpu_check(const GpuCheckOptions& options);

}  // namespace weft
