// engine_bench MODEL: measures the engine in bf16 on two threads. Each line of standard input, the
// name of a row, is answered by one line of JSON. Rows: model decode_B prefill_BxT group reuse
// score gap_B. Prompts are random ids and, but where decode_B and reuse mean to, never the same
// twice, so that nothing of them is in the prefix cache.
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <future>
#include <iostream>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/rng.h"
#include "bench/measure.h"
#include "model/engine/engine.h"

namespace weft::bench {
namespace {

constexpr int kThreads = 2;
constexpr int kPromptTokens = 128;
constexpr int kNewTokens = 64;
constexpr int kLongPrompt = 1024;
constexpr int kGroup = 16;
constexpr int kScored = 8;
constexpr int kGapPrompt = 6000;
constexpr int kGapsBefore = 400;       // of each stream, before the prompt comes
constexpr int32_t kFirstPlainId = 17;  // those before are SmolLM2's special tokens

EngineOptions options() {
  EngineOptions options;
  options.kv_mb = 1024;
  return options;
}

class EngineBench {
 public:
  explicit EngineBench(const std::string& model)
      : engine_(Engine::from_directory(model, "bf16", options())), rng_(1) {}

  Json measure(const std::string& row);

 private:
  std::vector<int32_t> ids(int count);
  TextRequest request(int prompt_tokens, int new_tokens);
  double seconds_of(std::vector<TextRequest> requests);
  Json describe_model();
  Json decode(int batch, int new_tokens);
  Json prefill(int batch, int tokens);
  Json group(int new_tokens);
  Json reuse();
  Json score();
  Json gap(int streams);
  void warm_up(const std::string& row);

  std::unique_ptr<Engine> engine_;
  Rng rng_;
  std::set<std::string> warm_;
};

std::vector<int32_t> EngineBench::ids(int count) {
  std::vector<int32_t> ids;
  const auto vocab = static_cast<uint64_t>(engine_->model().config().vocab_size);
  for (int i = 0; i < count; ++i) {
    ids.push_back(kFirstPlainId + static_cast<int32_t>(rng_.below(vocab - kFirstPlainId)));
  }
  return ids;
}

TextRequest EngineBench::request(int prompt_tokens, int new_tokens) {
  TextRequest request;
  request.prompt = ids(prompt_tokens);
  request.sampling.temperature = 0;
  request.sampling.max_tokens = new_tokens;
  request.sampling.ignore_eos = true;
  return request;
}

// Wall time until all are answered, each with all the tokens that it asked for.
double EngineBench::seconds_of(std::vector<TextRequest> requests) {
  const auto max_tokens = static_cast<size_t>(requests.front().sampling.max_tokens);
  const auto start = Clock::now();
  const auto responses = engine_->complete_all(std::move(requests));
  const double seconds = seconds_since(start);
  for (const TextResponse& response : responses) {
    if (response.status != ResponseStatus::kOk) throw Error("bench: " + response.error);
    for (const Completion& choice : response.choices) {
      if (choice.ids.size() != max_tokens) throw Error("bench: a completion is too short");
    }
  }
  return seconds;
}

// Bytes and products that one token costs at least, for the rooflines.
Json EngineBench::describe_model() {
  Transformer& model = engine_->model();
  const TransformerConfig& config = model.config();
  int64_t layer_weights = 0;
  for (int64_t l = 0; l < model.num_layers(); ++l) layer_weights += model.layer(l).flat.numel();
  const int64_t head_weights = model.lm_head_weight().numel();
  const int64_t kv_values = 2 * config.num_layers * config.num_kv_heads * config.head_dim;
  const auto width = static_cast<int64_t>(model.lm_head_weight().element_size());
  return {{"weight_bytes", width * (layer_weights + head_weights)},
          {"kv_bytes_per_token", width * kv_values},
          {"layer_flop_per_token", 2 * layer_weights},
          {"prompt_tokens", kPromptTokens},
          {"new_tokens", kNewTokens}};
}

// Prompts come a second time, so that all but the last tokens of each are known: one short pass
// prefills them, and then all sequences are decoded together. The first token of a sequence comes
// out of that pass, whose time is taken off; everything else counts.
Json EngineBench::decode(int batch, int new_tokens) {
  std::vector<TextRequest> requests;
  for (int i = 0; i < batch; ++i) requests.push_back(request(kPromptTokens, new_tokens));
  const double first_seconds = seconds_of(requests);
  const EngineStats before = engine_->stats();
  const double seconds = seconds_of(requests);
  const EngineStats after = engine_->stats();
  if (after.decode_passes - before.decode_passes != new_tokens - 1) {
    throw Error("bench: the sequences were not decoded together");
  }
  const double prefill = after.prefill_s - before.prefill_s;
  return {{"tok_per_s", batch * (new_tokens - 1) / (seconds - prefill)},
          {"with_prefill_tok_per_s", batch * new_tokens / first_seconds}};
}

Json EngineBench::prefill(int batch, int tokens) {
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 3 || seconds_since(start) < 1.5) {
    std::vector<TextRequest> requests;
    for (int i = 0; i < batch; ++i) requests.push_back(request(tokens, 1));
    times.push_back(seconds_of(std::move(requests)));
  }
  const double middle = quantile(times, 0.5);
  return {{"tok_per_s", batch * tokens / middle}, {"p50_ms", 1000 * middle}};
}

Json EngineBench::group(int new_tokens) {
  TextRequest one = request(kLongPrompt, new_tokens);
  one.n = kGroup;
  one.sampling.temperature = 1;
  const double seconds = seconds_of({one});
  return {{"tok_per_s", kGroup * new_tokens / seconds}, {"s", seconds}};
}

Json EngineBench::reuse() {
  std::vector<double> first, again;
  for (int i = 0; i < 5; ++i) {
    const TextRequest one = request(kLongPrompt, 1);
    first.push_back(1000 * seconds_of({one}));
    again.push_back(1000 * seconds_of({one}));
  }
  return {{"first_ms", quantile(first, 0.5)}, {"again_ms", quantile(again, 0.5)}};
}

Json EngineBench::score() {
  std::vector<LogprobRequest> requests;
  for (int i = 0; i < kScored; ++i)
    requests.push_back({ids(kPromptTokens), ids(kPromptTokens), {}});
  const double ms = ms_of([&] { engine_->logprobs(requests); });
  return {{"tok_per_s", 1000 * kScored * 2 * kPromptTokens / ms}, {"ms", ms}};
}

// When the pieces of a stream came, in milliseconds for each of their tokens.
struct Stream {
  struct Gap {
    Clock::time_point begin, end;
    double ms;
  };
  Clock::time_point first, last;
  std::vector<Gap> gaps;
  std::atomic<int> pieces = 0;

  void add(int64_t tokens) {
    const auto now = Clock::now();
    const double ms = 1000 * std::chrono::duration<double>(now - last).count();
    if (pieces > 0) gaps.push_back({last, now, ms / static_cast<double>(tokens)});
    if (pieces == 0) first = now;
    last = now;
    ++pieces;
  }
};

// Gaps between the tokens of running streams: the median and the longest while nothing else runs,
// and the longest from the arrival of a long prompt until its answer.
Json EngineBench::gap(int streams) {
  std::vector<Stream> seen(streams);
  std::vector<std::future<void>> ends;
  const CancelFlag enough = std::make_shared<std::atomic<bool>>(false);
  for (Stream& stream : seen) {
    TextRequest one = request(kPromptTokens, 8000);
    one.cancelled = enough;
    one.on_delta = [&stream](const StreamDelta& delta) { stream.add(std::ssize(delta.ids)); };
    const auto end = std::make_shared<std::promise<void>>();
    ends.push_back(end->get_future());
    engine_->submit(std::move(one), [end](TextResponse) { end->set_value(); });
  }
  const auto is_short = [](const Stream& stream) { return stream.pieces < kGapsBefore; };
  while (std::any_of(seen.begin(), seen.end(), is_short)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto arrival = Clock::now();
  seconds_of({request(kGapPrompt, 1)});
  const auto answer = Clock::now();
  enough->store(true);
  for (auto& end : ends) end.wait();
  Clock::time_point all_run = seen[0].first;
  for (const Stream& stream : seen) all_run = std::max(all_run, stream.first);
  std::vector<double> before;
  double longest = 0;
  for (const Stream& stream : seen) {
    for (const auto& [begin, end, ms] : stream.gaps) {
      if (begin >= all_run && end < arrival) before.push_back(ms);
      if (end >= arrival && end <= answer) longest = std::max(longest, ms);
    }
  }
  const double middle = quantile(before, 0.5);
  return {{"median_ms", middle},
          {"longest_alone_ms", quantile(before, 1)},
          {"longest_ms", longest},
          {"times", longest / middle},
          {"prompt_s", std::chrono::duration<double>(answer - arrival).count()}};
}

// Threads, code and memory that a row's first run touches.
void EngineBench::warm_up(const std::string& row) {
  if (!warm_.insert(row).second) return;
  if (row.starts_with("decode_")) decode(std::stoi(row.substr(7)), 4);
  if (row == "group") group(4);
  if (row == "score") score();
  if (row.starts_with("gap_")) decode(std::stoi(row.substr(4)), 4);
  if (row.starts_with("prefill_") || row == "reuse") seconds_of({request(kLongPrompt, 1)});
}

Json EngineBench::measure(const std::string& row) {
  warm_up(row);
  const int64_t cached = engine_->stats().cached_tokens;
  Json result;
  if (row == "model") {
    result = describe_model();
  } else if (row.starts_with("decode_")) {
    result = decode(std::stoi(row.substr(7)), kNewTokens);
  } else if (row.starts_with("prefill_")) {
    const size_t times = row.find('x');
    if (times == std::string::npos) throw InputError("bench: expected prefill_BxT, got " + row);
    result = prefill(std::stoi(row.substr(8)), std::stoi(row.substr(times + 1)));
  } else if (row == "group") {
    result = group(kNewTokens);
  } else if (row == "score") {
    result = score();
  } else if (row == "reuse") {
    return reuse();
  } else if (row.starts_with("gap_")) {
    result = gap(std::stoi(row.substr(4)));
  } else {
    throw InputError("bench: unknown row \"" + row + "\"");
  }
  if (!row.starts_with("decode_") && engine_->stats().cached_tokens != cached)
    throw Error("bench: " + row + " met a known prompt");
  return result;
}

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw weft::InputError("usage: engine_bench MODEL < ROWS");
    at::set_num_threads(weft::bench::kThreads);
    weft::bench::EngineBench bench(argv[1]);
    for (std::string row; std::getline(std::cin, row);) {
      std::puts(bench.measure(row).dump().c_str());
      std::fflush(stdout);
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
