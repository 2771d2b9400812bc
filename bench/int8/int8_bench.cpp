// int8_bench MODEL ROUNDS FILE...: what int8 weights gain in speed and lose in logprob.
// int8_bench MODEL memory DTYPE: memory of one engine once it is open.
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

constexpr int64_t kWindow = 512;  // tokens scored together, the first 16 as their prompt
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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
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
  return static_cast<double>(after.decode_steps - before.decode_steps) * batch /
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

using Engines = std::map<std::string, std::unique_ptr<Engine>>;

/// Rates of bf16 and int8, one after the other in each round; the ratio is that of a round.
Json measure_speed(const Engines& engines, const std::vector<int32_t>& text, int rounds) {
  const std::vector<int32_t> start(text.begin(), text.begin() + kDecodePrompt);
  const std::vector<int32_t> page(text.begin(), text.begin() + 2 * kWindow);
  const auto rate = [&](const std::string& row, Engine& engine) {
    if (row == "prefill_1024") return prefill_rate(engine, page);
    return decode_rate(engine, start, std::atoi(row.substr(row.rfind('_') + 1).c_str()));
  };
  Json speed = Json::object();
  for (const std::string row : {"decode_1", "decode_4", "decode_16", "prefill_1024"}) {
    std::map<std::string, std::vector<double>> rates;
    for (const char* dtype : {"bf16", "int8"}) rate(row, *engines.at(dtype));  // warm up
    std::vector<double> ratios;
    for (int i = 0; i < rounds; ++i) {
      for (const char* dtype : {"bf16", "int8"}) {
        rates[dtype].push_back(rate(row, *engines.at(dtype)));
      }
      ratios.push_back(rates["int8"].back() / rates["bf16"].back());
    }
    speed[row] = {{"bf16_per_s", median(rates["bf16"])},
                  {"int8_per_s", median(rates["int8"])},
                  {"ratio", median(ratios)},
                  {"ratio_min", *std::min_element(ratios.begin(), ratios.end())},
                  {"ratio_max", *std::max_element(ratios.begin(), ratios.end())},
                  {"rounds", rounds}};
  }
  return speed;
}

std::vector<ScoreRequest> windows(const std::vector<std::vector<int32_t>>& texts) {
  std::vector<ScoreRequest> requests;
  for (const auto& ids : texts) {
    for (size_t w = 0; w < kWindowsPerFile && (w + 1) * kWindow <= ids.size(); ++w) {
      const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(w * kWindow);
      requests.push_back(
          {{begin, begin + kWindowPrompt}, {begin + kWindowPrompt, begin + kWindow}, ""});
    }
  }
  return requests;
}

std::vector<double> flat_scores(Engine& engine, const std::vector<ScoreRequest>& requests) {
  std::vector<double> all;
  for (const auto& scores : engine.score(requests)) {
    all.insert(all.end(), scores.begin(), scores.end());
  }
  return all;
}

/// Differences of logprobs from those in fp32, nats.
Json measure_loss(const Engines& engines, const std::vector<std::vector<int32_t>>& texts) {
  const auto requests = windows(texts);
  const auto exact = flat_scores(*engines.at("f32"), requests);
  Json loss = {{"tokens", exact.size()}};
  for (const auto& [dtype, engine] : engines) {
    const auto scores = flat_scores(*engine, requests);
    std::vector<double> differences;
    double sum = 0, signed_sum = 0, nll = 0;
    for (size_t i = 0; i < scores.size(); ++i) {
      differences.push_back(std::abs(scores[i] - exact[i]));
      sum += differences.back();
      signed_sum += scores[i] - exact[i];
      nll -= scores[i];
    }
    std::sort(differences.begin(), differences.end());
    const auto n = static_cast<double>(scores.size());
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

Json measure(const std::string& model, const std::vector<std::string>& arguments) {
  if (arguments[0] == "memory") {
    const double before = anonymous_mb();
    const auto engine = Engine::from_directory(model, arguments.at(1), options());
    return {{"anonymous_mb", anonymous_mb() - before}};
  }
  Engines engines;
  for (const char* dtype : {"f32", "bf16", "int8"}) {
    engines[dtype] = Engine::from_directory(model, dtype, options());
  }
  std::vector<std::vector<int32_t>> texts;
  for (size_t i = 1; i < arguments.size(); ++i) {
    texts.push_back(engines["f32"]->tokenizer()->encode(read_file(arguments[i]), false));
    if (texts.back().size() < 2 * kWindow)
      throw InputError("bench: " + arguments[i] + ": too short");
  }
  if (texts.empty()) throw InputError("bench: expected text files, got none");
  Json results = {{"loss", measure_loss(engines, texts)}};
  engines.erase("f32");
  results["speed"] = measure_speed(engines, texts[0], std::stoi(arguments[0]));
  return results;
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  try {
    if (argc < 3) throw weft::InputError("usage: int8_bench MODEL ROUNDS FILE...|memory DTYPE");
    std::puts(weft::bench::measure(argv[1], {argv + 2, argv + argc}).dump().c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
