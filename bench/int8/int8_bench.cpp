// int8_bench loss MODEL FILE...: differences of logprobs from those in fp32.
// int8_bench speed MODEL DTYPE FILE: tokens a second of one engine, and its memory once it is open.
// One JSON object on standard output.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "model/engine/engine.h"

namespace weft::bench {
namespace {

constexpr int64_t kWindow = 512;  // tokens of a text, the first 16 as their prompt
constexpr int64_t kWindowPrompt = 16;
constexpr size_t kWindowsPerFile = 2;
constexpr int kDecoded = 128;
constexpr size_t kDecodePrompt = 32;

EngineOptions options() {
  EngineOptions engine;
  engine.kv_mb = 256;
  engine.prefix_fraction = 0;
  return engine;
}

/// Decoded tokens a second, `batch` sequences of one prompt together.
double decode_rate(Engine& engine, const std::vector<int32_t>& prompt, int batch) {
  TextRequest request;
  request.prompt = prompt;
  request.n = batch;
  request.sampling.max_tokens = kDecoded;
  request.sampling.ignore_eos = true;
  const EngineStats before = engine.stats();
  const TextResponse response = engine.complete(request);
  if (response.status != ResponseStatus::kOk) throw Error("bench: " + response.error);
  engine.wait_idle();
  const EngineStats after = engine.stats();
  return static_cast<double>(after.decode_passes - before.decode_passes) * batch /
         (after.decode_s - before.decode_s);
}

/// Prompt tokens a second.
double prefill_rate(Engine& engine, const std::vector<int32_t>& prompt) {
  TextRequest request;
  request.prompt = prompt;
  request.sampling.max_tokens = 1;
  const EngineStats before = engine.stats();
  const TextResponse response = engine.complete(request);
  if (response.status != ResponseStatus::kOk) throw Error("bench: " + response.error);
  engine.wait_idle();
  const EngineStats after = engine.stats();
  return static_cast<double>(after.prefill_tokens - before.prefill_tokens) /
         (after.prefill_s - before.prefill_s);
}

/// Tokens a second of one dtype, by row.
Json measure_speed(Engine& engine, const std::vector<int32_t>& text) {
  const std::vector<int32_t> start(text.begin(), text.begin() + kDecodePrompt);
  const std::vector<int32_t> page(text.begin(), text.begin() + 2 * kWindow);
  decode_rate(engine, start, 1);  // warm up
  Json speed = Json::object();
  for (const int batch : {1, 4, 16}) {
    speed["decode_" + std::to_string(batch)] = decode_rate(engine, start, batch);
  }
  speed["prefill_1024"] = prefill_rate(engine, page);
  return speed;
}

using Engines = std::map<std::string, std::unique_ptr<Engine>>;

std::vector<LogprobRequest> windows(const std::vector<std::vector<int32_t>>& texts) {
  std::vector<LogprobRequest> requests;
  for (const auto& ids : texts) {
    for (size_t w = 0; w < kWindowsPerFile && (w + 1) * kWindow <= ids.size(); ++w) {
      const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(w * kWindow);
      requests.push_back(
          {{begin, begin + kWindowPrompt}, {begin + kWindowPrompt, begin + kWindow}, ""});
    }
  }
  return requests;
}

std::vector<double> flat_logprobs(Engine& engine, const std::vector<LogprobRequest>& requests) {
  std::vector<double> all;
  for (const auto& logprobs : engine.logprobs(requests)) {
    all.insert(all.end(), logprobs.begin(), logprobs.end());
  }
  return all;
}

/// Differences of logprobs from those in fp32, nats.
Json measure_loss(const Engines& engines, const std::vector<std::vector<int32_t>>& texts) {
  const auto requests = windows(texts);
  const auto exact = flat_logprobs(*engines.at("f32"), requests);
  Json loss = {{"tokens", exact.size()}};
  for (const auto& [dtype, engine] : engines) {
    const auto logprobs = flat_logprobs(*engine, requests);
    std::vector<double> differences;
    double sum = 0, signed_sum = 0, nll = 0;
    for (size_t i = 0; i < logprobs.size(); ++i) {
      differences.push_back(std::abs(logprobs[i] - exact[i]));
      sum += differences.back();
      signed_sum += logprobs[i] - exact[i];
      nll -= logprobs[i];
    }
    std::sort(differences.begin(), differences.end());
    const auto n = static_cast<double>(logprobs.size());
    loss[dtype] = {{"mean_abs", sum / n},
                   {"p99_abs", differences[differences.size() * 99 / 100]},
                   {"max_abs", differences.back()},
                   {"mean", signed_sum / n},
                   {"nll", nll / n}};
  }
  return loss;
}

double anonymous_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::strtod(line.c_str() + 8, nullptr) / 1024;
  }
  throw Error("bench: no RssAnon in /proc/self/status");
}

std::vector<int32_t> ids_of(const Engine& engine, const std::string& file) {
  auto ids = engine.tokenizer()->encode(read_file(file), false);
  if (ids.size() < 2 * kWindow) throw InputError("bench: " + file + ": too short");
  return ids;
}

Json measure(const std::string& what, const std::string& model,
             const std::vector<std::string>& arguments) {
  if (what == "loss") {
    Engines engines;
    for (const char* dtype : {"f32", "bf16", "int8"}) {
      engines[dtype] = Engine::from_directory(model, dtype, options());
    }
    std::vector<std::vector<int32_t>> texts;
    for (const std::string& file : arguments) texts.push_back(ids_of(*engines["f32"], file));
    return measure_loss(engines, texts);
  }
  if (what != "speed") throw InputError("bench: expected loss or speed, got \"" + what + "\"");
  const double before = anonymous_mb();
  const auto engine = Engine::from_directory(model, arguments.at(0), options());
  const double memory = anonymous_mb() - before;
  Json speed = measure_speed(*engine, ids_of(*engine, arguments.at(1)));
  speed["anonymous_mb"] = memory;
  return speed;
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  try {
    if (argc < 4) throw weft::InputError("usage: int8_bench loss|speed MODEL ...");
    std::puts(weft::bench::measure(argv[1], argv[2], {argv + 3, argv + argc}).dump().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
