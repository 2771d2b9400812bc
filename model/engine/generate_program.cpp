#include "model/engine/generate_program.h"

#include <deque>
#include <future>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/known_fields.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/progress.h"
#include "base/stop.h"
#include "model/checkpoint/adapter_base.h"
#include "model/checkpoint/hf_model.h"
#include "model/device.h"
#include "model/ops/threads.h"

namespace weft {
namespace {

constexpr const char* kAdapterName = "adapter";
constexpr size_t kLogprobBatch = 32;

struct Row {
  std::string where;
  Json id;
  std::string error;  // why the row is bad
  TextRequest request;
  bool is_given = false;            // "score_ids": nothing is sampled
  std::vector<int32_t> prompt_ids;  // of a row with given ids, like the following
  std::vector<int32_t> given_ids;
  std::vector<float> given_logprobs;
};

std::vector<int32_t> read_ids(const Json& json, const char* key, const std::string& where) {
  const auto wide = get_field<std::vector<int64_t>>(json, key, where);
  std::vector<int32_t> ids;
  for (int64_t id : wide) {
    ids.push_back(id < 0 || id > INT32_MAX ? -1 : static_cast<int32_t>(id));
  }
  return ids;
}

std::vector<ChatMessage> read_messages(const Json& json, const std::string& where) {
  std::vector<ChatMessage> messages;
  for (const Json& message : get_field<std::vector<Json>>(json, "messages", where)) {
    const std::string place = where + ": messages[" + std::to_string(messages.size()) + "]";
    refuse_unknown_fields(message, {"role", "content"}, place);
    const auto role = get_field<std::string>(message, "role", place);
    if (role != "system" && role != "user" && role != "assistant" && role != "tool") {
      throw_field_error(place, "role", "system, user, assistant or tool", &message["role"]);
    }
    messages.push_back({role, get_field<std::string>(message, "content", place)});
  }
  return messages;
}

std::vector<std::string> read_stop(const Json& json, const std::string& where) {
  const auto stop = json.find("stop");
  if (stop != json.end() && stop->is_string()) return {stop->get<std::string>()};
  return get_field_or(json, "stop", std::vector<std::string>{}, where);
}

void check_fields(const Json& row, const std::string& where) {
  static const FieldNames known = {"id",    "prompt", "prompt_ids", "messages",   "n",
                                   "top_p", "min_p",  "top_k",      "max_tokens", "temperature",
                                   "stop",  "seed",   "ignore_eos", "score_ids"};
  refuse_unknown_fields(row, known, where);
}

void read_prompt(const Json& json, const std::string& where, TextRequest& request) {
  const int given =
      json.contains("prompt") + json.contains("prompt_ids") + json.contains("messages");
  if (given != 1) {
    throw InputError(where + ": expected one of prompt, prompt_ids and messages, got " +
                     std::to_string(given));
  }
  if (json.contains("prompt")) {
    request.prompt = get_field<std::string>(json, "prompt", where);
  } else if (json.contains("prompt_ids")) {
    request.prompt = read_ids(json, "prompt_ids", where);
  } else {
    request.prompt = read_messages(json, where);
  }
}

SamplingParams read_sampling(const Json& json, const std::string& where, uint64_t default_seed) {
  SamplingParams s;
  s.temperature = get_field_or(json, "temperature", 1.0, where);
  s.top_p = get_field_or(json, "top_p", 1.0, where);
  s.min_p = get_field_or(json, "min_p", 0.0, where);
  s.top_k = get_field_or(json, "top_k", 0, where);
  s.max_tokens = get_field_or(json, "max_tokens", 256, where);
  s.stop = read_stop(json, where);
  s.seed = get_field_or(json, "seed", default_seed, where);
  s.ignore_eos = get_field_or(json, "ignore_eos", false, where);
  return s;
}

Row read_row(const JsonlReader& in, const JsonlLine& line, const GenerateOptions& options) {
  Row row;
  row.where = in.where(line);
  row.error = line.error;
  if (!row.error.empty()) return row;
  try {
    check_fields(line.value, row.where);
    row.id = get_field<Json>(line.value, "id", row.where);
    read_prompt(line.value, row.where, row.request);
    row.request.n = get_field_or(line.value, "n", 1, row.where);
    row.request.sampling =
        read_sampling(line.value, row.where, options.seed + static_cast<uint64_t>(line.number - 1));
    if (!options.adapter.empty()) row.request.adapter = kAdapterName;
    row.is_given = line.value.contains("score_ids");
    if (row.is_given) row.given_ids = read_ids(line.value, "score_ids", row.where);
  } catch (const InputError& e) {
    row.error = e.what();
  }
  return row;
}

std::vector<Row> read_rows(JsonlReader& in, const GenerateOptions& options) {
  std::vector<Row> rows;
  for (JsonlLine line; in.next(line);) rows.push_back(read_row(in, line, options));
  return rows;
}

void logprob_batch(Engine& engine, const std::vector<Row*>& rows) {
  std::vector<LogprobRequest> requests;
  for (const Row* row : rows) {
    requests.push_back({row->prompt_ids, row->given_ids, row->request.adapter});
  }
  try {
    auto logprobs = engine.logprobs(requests);
    for (size_t i = 0; i < rows.size(); ++i) rows[i]->given_logprobs = std::move(logprobs[i]);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& e) {
    if (rows.size() == 1) {
      rows[0]->error = rows[0]->where + ": " + e.what();
      return;
    }
    for (Row* row : rows) logprob_batch(engine, {row});
  }
}

void logprob_rows(Engine& engine, std::vector<Row>& rows) {
  std::vector<Row*> batch;
  for (Row& row : rows) {
    if (!row.is_given || !row.error.empty()) continue;
    throw_if_stopped();
    try {
      row.prompt_ids = engine.encode(row.request);
    } catch (const InputError& e) {
      row.error = row.where + ": " + e.what();
      continue;
    }
    batch.push_back(&row);
    if (batch.size() < kLogprobBatch) continue;
    logprob_batch(engine, batch);
    batch.clear();
  }
  if (!batch.empty()) logprob_batch(engine, batch);
}

Json logprobs_json(const Engine& engine, const Row& row) {
  const std::string text =
      engine.tokenizer() ? engine.tokenizer()->decode(row.given_ids, true) : "";
  return {
      {"id", row.id},
      {"choices",
       {{{"text", text},
         {"ids", row.given_ids},
         {"logprobs", row.given_logprobs},
         {"finish_reason", "length"}}}},
      {"usage",
       {{"prompt_tokens", row.prompt_ids.size()}, {"completion_tokens", row.given_ids.size()}}}};
}

Json response_json(const Row& row, const TextResponse& response) {
  Json choices = Json::array();
  for (const Completion& c : response.choices) {
    Json choice = {{"text", c.text}, {"ids", c.ids}, {"logprobs", c.logprobs}};
    if (!c.sampling_logprobs.empty()) choice["sampling_logprobs"] = c.sampling_logprobs;
    choice["finish_reason"] = to_string(c.finish);
    choices.push_back(std::move(choice));
  }
  return {{"id", row.id},
          {"choices", choices},
          {"usage",
           {{"prompt_tokens", response.usage.prompt_tokens},
            {"completion_tokens", response.usage.completion_tokens}}}};
}

std::future<TextResponse> submit(Engine& engine, const TextRequest& request) {
  auto promise = std::make_shared<std::promise<TextResponse>>();
  auto future = promise->get_future();
  engine.submit(request, [promise](TextResponse r) { promise->set_value(std::move(r)); });
  return future;
}

}  // namespace

void GenerateOptions::validate() const {
  if (model.empty()) throw InputError("model: expected a directory, got nothing");
  if (in.empty()) throw InputError("in: expected a file or -, got nothing");
  if (out.empty()) throw InputError("out: expected a file or -, got nothing");
  require_threads("threads", threads);
  resolve_inference_dtype(dtype);
  engine.validate();
}

void GenerateOptions::check_start(StartCheck& check) const {
  check.without_error([this] { resolve_device(device); });
  check.model_folder("model", model);
  if (!adapter.empty()) check.adapter_folder("adapter", adapter);
  check.file("in", in);
  check.output_file("out", out);
}

int64_t generate_rows(Engine& engine, JsonlReader& in, const GenerateOptions& options) {
  std::vector<Row> rows = read_rows(in, options);
  JsonlWriter out(options.out);
  logprob_rows(engine, rows);
  std::map<size_t, std::future<TextResponse>> pending;
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].is_given || !rows[i].error.empty()) continue;
    rows[i].request.cancelled = cancelled;
    pending.emplace(i, submit(engine, rows[i].request));
  }
  Progress progress("generate", static_cast<int64_t>(rows.size()), "rows");
  int64_t num_bad = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    Row& row = rows[i];
    Json json;
    if (row.error.empty() && row.is_given) json = logprobs_json(engine, row);
    if (row.error.empty() && !row.is_given) {
      auto& future = pending.at(i);
      while (future.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
        if (stop_signal() != 0) cancelled->store(true);
        throw_if_stopped();
        progress.note(std::to_string(engine.stats().decoded_tokens) + " tokens");
      }
      const TextResponse response = future.get();
      if (response.status == ResponseStatus::kOk) json = response_json(row, response);
      if (response.status != ResponseStatus::kOk) row.error = row.where + ": " + response.error;
    }
    if (row.error.empty()) {
      out.write(json);
    } else {
      log::error("{}", row.error);
      ++num_bad;
    }
    progress.advance();
  }
  return num_bad;
}

void run_generate(const GenerateOptions& options) {
  const ComputeDevice device = resolve_device(options.device);
  use_threads(options.threads);
  const auto engine = Engine::from_directory(options.model, options.dtype, options.engine, device);
  if (!options.adapter.empty()) {
    require_same_base(options.adapter, options.model);
    engine->set_adapter(kAdapterName, Lora::load(options.adapter, engine->model().config()));
  }
  JsonlReader in(options.in);
  const int64_t num_bad = generate_rows(*engine, in, options);
  if (num_bad > 0) throw Error(std::to_string(num_bad) + " rows could not be answered");
}

}  // namespace weft
