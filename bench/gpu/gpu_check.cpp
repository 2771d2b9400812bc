#include "bench/gpu/gpu_check.h"

#include <ATen/core/grad_mode.h>

#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "model/ops/tensor_device.h"
#include "model/transformer/transformer.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kContext = 512;
constexpr int64_t kPasses = 64;
constexpr int64_t kLongContext = 30000;
constexpr double kNearTarget = 0.85;  // of the target, with mixed lengths and top-p
constexpr int64_t kPromptTokens = 2048;
constexpr int64_t kTokensBefore = 14336;  // the last chunk of a prompt of 16,384
constexpr int64_t kCopyBytes = int64_t{4} << 30;

struct Shape {
  const char* name;
  TransformerConfig config;
  std::vector<DecodeCase> cases;
};

// The bf16 targets of decoding on one H200, the most valuable first, and beside them the same with
// top-p and mixed lengths, one long sequence, invariant and without graphs.
std::vector<Shape> shapes() {
  return {{"qwen2.5-7b",
           qwen2_shape(28, 3584, 18944, 28, 4, 152064),
           {{"qwen2.5-7b", 1, 210},
            {"qwen2.5-7b", 32, 5500},
            {"qwen2.5-7b", 128, 13000},
            {"qwen2.5-7b", 256, 18000},
            {"qwen2.5-7b", 32, kNearTarget * 5500, true, /*top_p=*/0.95f, /*mixed=*/true},
            {"qwen2.5-7b", 256, kNearTarget * 18000, true, 0.95f, true},
            {"qwen2.5-7b", 256, 0, true, 1, false, kLongContext},
            {"qwen2.5-7b", 1, 0, true, 1, false, 0, /*invariant=*/true},
            {"qwen2.5-7b", 32, 0, true, 1, false, 0, true},
            {"qwen2.5-7b", 256, 0, true, 1, false, 0, true},
            {"qwen2.5-7b", 1, 0, /*cuda_graphs=*/false}}},
          {"qwen2.5-14b",
           qwen2_shape(48, 5120, 13824, 40, 8, 152064),
           {{"qwen2.5-14b", 1, 110},
            {"qwen2.5-14b", 32, 2700},
            {"qwen2.5-14b", 128, 6000},
            {"qwen2.5-14b", 256, 7500},
            {"qwen2.5-14b", 32, kNearTarget * 2700, true, 0.95f, true},
            {"qwen2.5-14b", 256, kNearTarget * 7500, true, 0.95f, true}}}};
}

/// The report while it grows.
class Report {
 public:
  explicit Report(const GpuCheckOptions& options) : options_(options) {
    json_ = {{"ok", false}, {"left_out", Json::array()}};
  }
  Json& operator[](const char* key) { return json_[key]; }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  void save() {
    json_["seconds"] = seconds();
    write_file_atomically(options_.out, json_.dump(2) + "\n");
  }

  /// Adds what `measure` gives to a list, or why there is nothing: the time is up, or it failed.
  template <class F>
  void add(const char* list, const std::string& what, F&& measure) {
    if (seconds() > options_.time_s) {
      json_["left_out"].push_back(what + ": no time left");
    } else {
      try {
        json_[list].push_back(measure());
        log::info("{}: {}", what, json_[list].back().dump());
      } catch (const std::exception& e) {
        json_["left_out"].push_back(what + ": " + e.what());
        failed_ = true;
        log::error("{}: {}", what, e.what());
      }
    }
    save();
  }
  void fail() { failed_ = true; }
  bool failed() const { return failed_; }

 private:
  const GpuCheckOptions& options_;
  const Clock::time_point start_ = Clock::now();
  Json json_;
  bool failed_ = false;
};

void check_parities(const ComputeDevice& gpu, const std::string& model, Report& report) {
  if (!model.empty()) {
    report.add("parity", "greedy text", [&] { return check_directory(gpu, model); });
  }
  // Logits of these shapes are about 1; fp32 sums of up to 1,024 products differ by 1e-5 of that,
  // bf16 values are rounded to 2^-9 of themselves several times in each layer.
  for (const bool wide : {false, true}) {
    const auto config =
        wide ? qwen2_shape(2, 896, 1024, 7, 1, 2048) : qwen2_shape(2, 896, 1024, 14, 2, 2048);
    const std::string name = wide ? "2 layers, heads of 128" : "2 layers, heads of 64";
    report.add("parity", "parity, " + name + ", f32",
               [&] { return check_parity(gpu, name, config, at::kFloat, 1e-3); });
    report.add("parity", "parity, " + name + ", bf16",
               [&] { return check_parity(gpu, name, config, at::kBFloat16, 0.1); });
  }
  for (const Json& parity : report["parity"]) {
    if (!parity["ok"].get<bool>()) report.fail();
  }
}

// Beside each plain row, what its variants take.
void add_prices(Report& report, double bandwidth) {
  const Json rows = report["decode"];
  const auto is_plain = [](const Json& row) {
    return row["cuda_graphs"] == true && row["top_p"] == 1 && row["mixed"] == false &&
           row["long_context"] == 0 && row["invariant"] == false;
  };
  for (const Json& with : rows) {
    for (const Json& plain : rows) {
      if (is_plain(with) || !is_plain(plain) || with["model"] != plain["model"] ||
          with["batch"] != plain["batch"]) {
        continue;
      }
      const bool one_long = with["long_context"] > 0;
      const std::string what = with["invariant"] == true ? "invariant"
                               : with["mixed"] == true   ? "mixed lengths, top-p"
                                                         : "no graphs";
      report.add("prices", one_long ? "one long sequence" : what, [&] {
        return one_long ? price_of_long(with, plain, bandwidth) : price(what, with, plain);
      });
    }
  }
}

void measure_shapes(const ComputeDevice& gpu, Report& report) {
  const double bandwidth = copy_bandwidth(gpu, kCopyBytes);
  report["copy_gb_s"] = bandwidth / 1e9;
  for (const Shape& shape : shapes()) {
    const at::NoGradGuard no_grad;
    Transformer model(shape.config, at::kBFloat16);
    model.to(tensor_device(gpu));
    for (const NamedParameter& p : model.parameters()) {
      p.name.ends_with("norm.weight") ? p.tensor->fill_(1) : p.tensor->normal_(0, 0.02);
    }
    for (const DecodeCase& which : shape.cases) {
      report.add("decode", which.name(),
                 [&] { return measure_decode(gpu, model, which, kContext, kPasses, bandwidth); });
    }
    for (const int64_t before : {int64_t{0}, kTokensBefore}) {
      report.add("prefill", std::string(shape.name) + " prefill behind " + std::to_string(before),
                 [&] { return measure_prefill(gpu, model, shape.name, kPromptTokens, before); });
    }
  }
  add_prices(report, bandwidth);
}

}  // namespace

Json test_summary(const std::string& path) {
  if (!std::filesystem::exists(path)) return {{"file", path}, {"ok", false}, {"reason", "absent"}};
  const Json report = read_json_file(path);
  Json failed = Json::array();
  int64_t skipped = 0;
  for (const Json& suite : report["testsuites"]) {
    for (const Json& one : suite["testsuite"]) {
      skipped += one.value("result", "") == "SKIPPED";
      if (one.contains("failures")) {
        failed.push_back(
            {{"name", suite["name"].get<std::string>() + "." + one["name"].get<std::string>()},
             {"message", one["failures"][0]["failure"]}});
      }
    }
  }
  return {{"file", std::filesystem::path(path).filename().string()},
          {"tests", report["tests"]},
          {"skipped", skipped},
          {"failed", failed},
          {"ok", failed.empty() && skipped == 0}};
}

void run_gpu_check(const GpuCheckOptions& options) {
  Report report(options);
  ComputeDevice device;
  try {
    device = resolve_device(options.device);
    if (device.library == nullptr) throw InputError("device: expected a GPU, got the CPU");
  } catch (const InputError& error) {
    report["gpu"] = nullptr;
    report["reason"] = error.what();
    report.save();
    throw;
  }
  const Gpu found = find_gpus().gpus.at(device.index);
  report["gpu"] = {{"name", found.name},
                   {"memory_gb", static_cast<double>(found.memory_bytes) / 1e9},
                   {"compute_capability", found.compute_capability}};
  report.save();
  if (options.probe) return;
  for (const std::string& path : options.test_reports) {
    report["tests"].push_back(test_summary(path));
    if (!report["tests"].back()["ok"].get<bool>()) report.fail();
  }
  check_parities(device, options.model, report);
  measure_shapes(device, report);
  report["ok"] = !report.failed();
  report.save();
  if (report.failed()) throw Error(options.out + " names checks that failed");
}

}  // namespace weft
