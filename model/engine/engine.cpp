#include "model/engine/engine.h"

#include <ATen/core/grad_mode.h>

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "model/checkpoint/hf_model.h"
#include "model/engine/engine_core.h"
#include "model/ops/cpu/parallel.h"
#include "model/ops/tensor_device.h"

namespace weft {

namespace {

constexpr int kMostChoices = 65536;  // of one request: beyond, bookkeeping alone fills the memory

int64_t context_limit(const Transformer& model, const EngineOptions& options) {
  options.validate();
  const int64_t most = model.config().max_positions;
  return options.max_context > 0 ? std::min(options.max_context, most) : most;
}

// Why the parameters cannot be used; empty if they can.
std::string sampling_error(const SamplingParams& s) {
  const auto wrong = [](const char* key, const char* expected, double got) {
    return std::string(key) + ": expected " + expected + ", got " + std::to_string(got);
  };
  if (!(s.temperature >= 0) || std::isinf(s.temperature)) {
    return wrong("temperature", "a number >= 0", s.temperature);
  }
  if (!(s.top_p > 0 && s.top_p <= 1)) return wrong("top_p", "a number in (0, 1]", s.top_p);
  if (!(s.min_p >= 0 && s.min_p <= 1)) return wrong("min_p", "a number in [0, 1]", s.min_p);
  if (s.top_k < 0) return wrong("top_k", "an integer >= 0", s.top_k);
  if (s.max_tokens < 0) return wrong("max_tokens", "an integer >= 0", s.max_tokens);
  return {};
}

// The answer to a request for no token.
TextResponse empty_response(const EngineRequest& r) {
  TextResponse response;
  response.prompt_ids = r.prompt;
  response.choices.resize(r.request.n);
  response.usage.prompt_tokens = static_cast<int64_t>(r.prompt.size());
  return response;
}

bool has_chat_template(const fs::path& dir) {
  if (fs::exists(dir / "chat_template.jinja")) return true;
  const fs::path config = dir / "tokenizer_config.json";
  return fs::exists(config) && read_json_file(config).contains("chat_template");
}

}  // namespace

struct Engine::Impl {
  Impl(Engine& owner, const EngineOptions& engine_options, std::string model_name,
       const ComputeDevice& device)
      : engine(owner),
        options(engine_options),
        name(std::move(model_name)),
        max_context(context_limit(*owner.model_, options)),
        core(*owner.model_, owner.tokenizer_.get(), options, max_context, device),
        scheduler(core.scheduler()),
        stats(scheduler.stats()),
        thread([this] { loop(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    changed.notify_all();
    thread.join();
  }

  void loop();
  void start_runner();
  void take_requests(std::unique_lock<std::mutex>& lock);
  bool nothing_came();
  void publish(std::unique_lock<std::mutex>& lock);
  void post(std::function<void()> task);
  void rest();
  std::string prepare(EngineRequest& request);
  std::string check_ids(const std::vector<int32_t>& ids) const;
  std::shared_ptr<const Lora> find_adapter(const std::string& adapter, std::string& error);

  Engine& engine;
  const EngineOptions options;
  const std::string name;
  const int64_t max_context;
  EngineCore core;
  Scheduler& scheduler;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::unique_ptr<EngineRequest>> incoming;
  std::deque<std::function<void()>> tasks;  // for the engine's thread; they do not throw
  std::map<std::string, std::shared_ptr<Lora>> adapters;
  EngineStats stats;
  int64_t arriving = 0;  // requests that `stats` does not count yet, beside `incoming`
  int64_t last_job = 0;
  bool busy = false;
  std::atomic<bool> stopping{false};  // written under the mutex
  std::promise<void> started;
  std::thread thread;
};

void Engine::Impl::start_runner() {
  try {
    core.runner().set_stop_check([this] {
      if (stopping || scheduler.all_cancelled()) throw PassDropped();
    });
    core.runner().start();
    started.set_value();
  } catch (...) {
    started.set_exception(std::current_exception());
  }
}

void Engine::Impl::loop() {
  const at::NoGradGuard no_grad;
  start_runner();
  std::unique_lock lock(mutex);
  while (true) {
    busy = scheduler.has_work();
    if (!busy && incoming.empty() && tasks.empty()) {
      rest();
      kernels::release_helpers();
      changed.notify_all();
      changed.wait(lock, [&] { return stopping || !incoming.empty() || !tasks.empty(); });
    }
    if (stopping) break;
    busy = true;
    take_requests(lock);
    if (scheduler.has_work()) core.plan();
    publish(lock);
    core.compute([this] { return nothing_came(); },
                 [&] {
                   publish(lock);
                   scheduler.answer();
                 });
    publish(lock);
    scheduler.answer();
    lock.lock();
  }
  take_requests(lock);
  scheduler.end_all(ResponseStatus::kCancelled, "the engine is shutting down");
  scheduler.answer();
  lock.lock();
  take_requests(lock);  // held texts of the requests that were answered just now
}

bool Engine::Impl::nothing_came() {
  const std::lock_guard lock(mutex);
  return incoming.empty() && tasks.empty() && !stopping;
}

// Makes the scheduler's statistics everybody's.
void Engine::Impl::publish(std::unique_lock<std::mutex>& lock) {
  lock.lock();
  stats = scheduler.stats();
  arriving = 0;
  lock.unlock();
}

// Moves what has arrived to the scheduler and runs tasks; unlocks.
void Engine::Impl::take_requests(std::unique_lock<std::mutex>& lock) {
  auto arrived = std::exchange(incoming, {});
  arriving = std::ssize(arrived);
  const auto todo = std::exchange(tasks, {});
  lock.unlock();
  for (auto& request : arrived) scheduler.add(std::move(request));
  for (const auto& task : todo) task();
}

void Engine::Impl::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex);
    tasks.push_back(std::move(task));
  }
  changed.notify_all();
}

// With nothing to do, so that who is told so may write the weights.
void Engine::Impl::rest() {
  try {
    core.runner().rest();
  } catch (const std::exception& e) {
    log::error("{}: {}", name, e.what());
  }
}

std::string Engine::Impl::check_ids(const std::vector<int32_t>& ids) const {
  const int64_t size = engine.model_->config().vocab_size;
  for (int32_t id : ids) {
    if (id < 0 || id >= size) {
      return "token id out of range: expected 0 to " + std::to_string(size - 1) + ", got " +
             std::to_string(id);
    }
  }
  return {};
}

std::shared_ptr<const Lora> Engine::Impl::find_adapter(const std::string& adapter,
                                                       std::string& error) {
  if (adapter.empty()) return nullptr;
  const std::lock_guard lock(mutex);
  const auto found = adapters.find(adapter);
  if (found != adapters.end()) return found->second;
  error = "adapter: \"" + adapter + "\" is not loaded";
  return nullptr;
}

// Fills in prompt ids and adapter; returns why the request is refused, or nothing.
std::string Engine::Impl::prepare(EngineRequest& r) {
  try {
    r.prompt = engine.encode(r.request);
  } catch (const InputError& e) {
    return e.what();
  }
  if (r.request.prompt_logprobs)
    return "prompt_logprobs: local models give logprobs of sequences instead";
  std::string error = sampling_error(r.request.sampling);
  if (error.empty()) error = check_ids(r.prompt);
  if (error.empty()) r.lora = find_adapter(r.request.adapter, error);
  if (!error.empty()) return error;
  const auto prompt = static_cast<int64_t>(r.prompt.size());
  if (r.request.n < 1 || r.request.n > kMostChoices) {
    return "n: expected 1 to " + std::to_string(kMostChoices) + ", got " +
           std::to_string(r.request.n);
  }
  if (prompt == 0) return "prompt: expected at least one token, got none";
  if (r.hold_as && r.request.sampling.max_tokens == 0) {
    return "max_tokens: expected at least 1 of a sequence, got 0";
  }
  if (prompt + 1 > max_context) {
    return "prompt: expected at most " + std::to_string(max_context - 1) +
           " tokens for this context, got " + std::to_string(prompt);
  }
  const int64_t needed = scheduler.blocks_needed(prompt, r.request.sampling.max_tokens);
  const int64_t blocks = scheduler.pool().num_blocks();
  if (needed > blocks) {
    return "prompt and max_tokens: expected at most " + std::to_string(blocks) +
           " blocks of the KV cache, got " + std::to_string(needed);
  }
  return {};
}

Engine::Engine(std::shared_ptr<Transformer> model, std::shared_ptr<const Tokenizer> tokenizer,
               std::shared_ptr<const ChatTemplate> chat_template, const EngineOptions& options,
               std::string name, const ComputeDevice& device)
    : model_(std::move(model)),
      tokenizer_(std::move(tokenizer)),
      chat_template_(std::move(chat_template)),
      impl_(std::make_unique<Impl>(*this, options, std::move(name), device)) {
  impl_->started.get_future().get();
  log::info("{}: {}", impl_->name, numerics());
}

Engine::~Engine() = default;

std::unique_ptr<Engine> Engine::from_directory(const std::string& dir, const std::string& dtype,
                                               const EngineOptions& options,
                                               const ComputeDevice& device) {
  const bool on_gpu = device.library != nullptr;
  const InferenceDtype held = resolve_inference_dtype(on_gpu && dtype == "auto" ? "bf16" : dtype);
  if (on_gpu && held.int8) throw InputError("dtype: int8 is for device=cpu, got a GPU");
  std::shared_ptr<Transformer> model = load_for_inference(dir, held);
  if (on_gpu) model->to(tensor_device(device));
  std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::load(dir);
  if (tokenizer->vocab_size() > model->config().vocab_size) {
    throw InputError(dir + ": the tokenizer does not fit the model: expected at most " +
                     std::to_string(model->config().vocab_size) + " ids, got " +
                     std::to_string(tokenizer->vocab_size()));
  }
  std::shared_ptr<const ChatTemplate> chat_template;
  if (has_chat_template(dir)) {
    chat_template = std::make_shared<const ChatTemplate>(ChatTemplate::load(dir));
  }
  return std::make_unique<Engine>(model, tokenizer, chat_template, options,
                                  held.int8 ? dir + "-int8" : dir, device);
}

void Engine::submit(TextRequest request, std::function<void(TextResponse)> done) {
  std::vector<Submission> one;
  one.push_back({std::move(request), std::move(done)});
  submit_all(std::move(one));
}

void Engine::submit_all(std::vector<Submission> submissions) {
  std::vector<std::unique_ptr<EngineRequest>> requests;
  for (Submission& submission : submissions) {
    requests.push_back(std::make_unique<EngineRequest>());
    requests.back()->request = std::move(submission.request);
    requests.back()->done = std::move(submission.done);
  }
  submit_prepared(std::move(requests));
}

// Fills in prompts and adapters, refuses what cannot be answered, queues the rest.
void Engine::submit_prepared(std::vector<std::unique_ptr<EngineRequest>> requests) {
  std::vector<std::unique_ptr<EngineRequest>> ready;
  for (auto& request : requests) {
    TextResponse refused;
    refused.status = ResponseStatus::kRefused;
    try {
      refused.error = impl_->prepare(*request);
      if (refused.error.empty() && request->request.sampling.max_tokens == 0) {
        request->done(empty_response(*request));
        continue;
      }
      if (refused.error.empty()) {
        request->lowered =
            fit_to_allowance(request->request, static_cast<int64_t>(request->prompt.size()));
        ready.push_back(std::move(request));
        continue;
      }
    } catch (const BudgetError& error) {
      refused.status = ResponseStatus::kOutOfBudget;
      refused.error = error.what();
    }
    refused.usage.prompt_tokens = static_cast<int64_t>(request->prompt.size());
    refused.prompt_ids = std::move(request->prompt);
    request->done(std::move(refused));
  }
  kernels::release_helpers();
  {
    const std::lock_guard lock(impl_->mutex);
    const int64_t job = ++impl_->last_job;
    for (auto& request : ready) {
      request->job = job;
      impl_->incoming.push_back(std::move(request));
    }
  }
  impl_->changed.notify_all();
}

std::shared_ptr<HeldText> Engine::make_held_text() {
  Impl* impl = impl_.get();
  return {new HeldText, [impl](HeldText* held) {
            impl->post([impl, held] {
              impl->scheduler.let_go(*held);
              delete held;
            });
          }};
}

std::vector<int32_t> Engine::encode(const TextRequest& request) const {
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&request.prompt)) return *ids;
  if (!tokenizer_) throw InputError("prompt: expected ids, the model has no tokenizer");
  if (const auto* text = std::get_if<std::string>(&request.prompt)) {
    return tokenizer_->encode(*text, /*add_special=*/true);
  }
  if (!chat_template_) throw InputError("prompt: the model has no chat template");
  const auto& messages = std::get<std::vector<ChatMessage>>(request.prompt);
  return tokenizer_->encode(chat_template_->render(messages, true),
                            /*add_special=*/false);
}

std::string Engine::refusal(const TextRequest& request) const {
  EngineRequest probe;
  probe.request = request;
  return impl_->prepare(probe);
}

std::string Engine::name() const { return impl_->name; }

std::string Engine::numerics() const { return impl_->core.runner().numerics(); }

std::vector<std::vector<float>> Engine::logprobs(const std::vector<LogprobRequest>& requests) {
  std::vector<std::shared_ptr<const Lora>> loras;
  for (const LogprobRequest& r : requests) {
    std::string error = impl_->check_ids(r.prompt_ids);
    if (error.empty()) error = impl_->check_ids(r.ids);
    if (r.prompt_ids.empty()) error = "prompt_ids: expected at least one id, got none";
    const auto tokens = static_cast<int64_t>(r.prompt_ids.size() + r.ids.size());
    if (tokens > impl_->max_context) {
      error = "prompt_ids and score_ids: expected at most " + std::to_string(impl_->max_context) +
              " ids, got " + std::to_string(tokens);
    }
    loras.push_back(impl_->find_adapter(r.adapter, error));
    if (!error.empty()) throw InputError(error);
  }
  std::promise<std::vector<std::vector<float>>> result;
  kernels::release_helpers();
  impl_->post([&] {
    try {
      int64_t tokens = 0;
      for (const LogprobRequest& r : requests) tokens += static_cast<int64_t>(r.ids.size());
      auto logprobs = impl_->core.runner().logprobs(requests, loras);
      impl_->scheduler.count_logprobs(tokens);
      result.set_value(std::move(logprobs));
    } catch (...) {
      result.set_exception(std::current_exception());
    }
  });
  return result.get_future().get();
}

void Engine::set_adapter(const std::string& name, std::shared_ptr<Lora> adapter) {
  if (name.empty()) throw InputError("adapter: expected a name, got none");
  if (adapter->config().use_dora && !model().device().is_cpu()) {
    throw InputError("adapter: use_dora is not served on a GPU, expected device cpu");
  }
  adapter->bind(model());
  const std::lock_guard lock(impl_->mutex);
  impl_->adapters[name] = std::move(adapter);
}

void Engine::weights_changed() {
  wait_idle();
  const std::lock_guard lock(impl_->mutex);
  for (const auto& [name, adapter] : impl_->adapters) adapter->weights_changed();
  impl_->core.runner().weights_changed();
  impl_->scheduler.weights_changed();
  impl_->stats = impl_->scheduler.stats();
}

void Engine::wait_idle() {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(
      lock, [&] { return !impl_->busy && impl_->incoming.empty() && impl_->tasks.empty(); });
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(impl_->mutex);
  EngineStats stats = impl_->stats;
  stats.queued += impl_->arriving + std::ssize(impl_->incoming);
  return stats;
}

}  // namespace weft
