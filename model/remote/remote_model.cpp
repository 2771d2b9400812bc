#include "model/remote/remote_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <list>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/rng.h"
#include "model/remote/endpoints.h"
#include "model/remote/recording.h"
#include "model/remote/transfer.h"
#include "model/remote/wire.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPollMs = 1000;
constexpr int kPollCancellableMs = 20;
constexpr double kLongestRetryAfterS = 3600;

CURLM* new_multi() {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM* multi = initialised == CURLE_OK ? curl_multi_init() : nullptr;
  if (!multi) throw Error("libcurl: cannot be initialised");
  return multi;
}

std::string key_from_environment(const RemoteModelOptions& options) {
  if (options.api_key_env.empty() || !options.replay.empty()) return {};
  const char* key = std::getenv(options.api_key_env.c_str());
  if (!key || !*key) {
    throw InputError("api_key_env: expected the environment variable " + options.api_key_env +
                     " to hold a key, it is not set");
  }
  return key;
}

std::string without(std::string text, const std::string& secret) {
  if (secret.empty()) return text;
  for (size_t at = 0; (at = text.find(secret, at)) != std::string::npos;) {
    text.replace(at, secret.size(), "***");
  }
  return text;
}

std::vector<std::string> urls_of(const RemoteModelOptions& options) {
  std::vector<std::string> urls = {options.base_url};
  urls.insert(urls.end(), options.more_base_urls.begin(), options.more_base_urls.end());
  for (std::string& url : urls) {
    while (url.ends_with('/')) url.pop_back();
  }
  return urls;
}

// Rounded up, so that no minute holds one more. A replay waits for nobody.
Clock::duration spacing_of(const RemoteModelOptions& options) {
  const int limit = options.replay.empty() ? options.max_requests_per_minute : 0;
  if (limit == 0) return {};
  return (Clock::duration(std::chrono::minutes(1)) + Clock::duration(limit - 1)) / limit;
}

bool never_works(CURLcode code) {
  return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
}

}  // namespace

void RemoteModelOptions::validate() const {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw InputError(what);
  };
  for (const std::string& url : urls_of(*this)) {
    require(url.starts_with("http://") || url.starts_with("https://"),
            "base_url and more_base_urls: expected http:// or https://");
  }
  require(timeout_s > 0, "timeout_s: expected a number > 0");
  require(max_concurrent > 0, "max_concurrent: expected an integer > 0");
  require(max_requests_per_minute >= 0, "max_requests_per_minute: expected an integer >= 0");
  require(max_retries >= 0, "max_retries: expected an integer >= 0");
  require(backoff_base_s >= 0 && backoff_cap_s >= 0, "backoff: expected numbers >= 0");
  require(usd_per_mtok_in >= 0 && usd_per_mtok_out >= 0, "usd_per_mtok: expected numbers >= 0");
  require(max_total_tokens >= 0 && max_total_usd >= 0, "budget: expected numbers >= 0");
  require(record.empty() || replay.empty(), "record and replay: expected one of them");
  require(extra_body.is_object(), "extra_body: expected an object");
}

/// The thread with its queue. `jobs_`, `endpoints_` and `rng_` belong to the thread.
class RemoteModel::Loop {
 public:
  explicit Loop(RemoteModelOptions options)
      : options_(std::move(options)),
        key_(key_from_environment(options_)),
        endpoints_(urls_of(options_), options_.max_concurrent, spacing_of(options_)),
        rng_(options_.backoff_seed),
        recorder_(options_.record.empty() ? nullptr
                                          : std::make_unique<AnswerRecorder>(options_.record)),
        recorded_(options_.replay.empty() ? nullptr
                                          : std::make_unique<RecordedAnswers>(options_.replay)),
        multi_(new_multi()),
        thread_([this] { run(); }) {}

  ~Loop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    curl_multi_wakeup(multi_);
    thread_.join();
    curl_multi_cleanup(multi_);
  }

  void submit(TextRequest request, std::function<void(TextResponse)> done) {
    Job job;
    job.wire = encode_request(request, options_);
    job.request = std::move(request);
    job.done = std::move(done);
    {
      const std::lock_guard lock(mutex_);
      incoming_.push_back(std::move(job));
    }
    curl_multi_wakeup(multi_);
  }

  const RemoteModelOptions& options() const { return options_; }

  TextUsage total_usage() const {
    const std::lock_guard lock(mutex_);
    return total_;
  }

 private:
  struct Job {
    TextRequest request;
    WireRequest wire;
    std::function<void(TextResponse)> done;
    Clock::time_point not_before{};
    int attempts = 0;
    int endpoint = -1;  // of the attempt under way, or of the last one
    int64_t reserved_tokens = 0;
    std::unique_ptr<Transfer> transfer;
  };
  using Jobs = std::list<Job>;

  void run() {
    while (take_incoming()) {
      end_cancelled();
      start_ready();
      int running = 0;
      curl_multi_perform(multi_, &running);
      finish_transfers();
      if (!has_startable()) curl_multi_poll(multi_, nullptr, 0, wait_ms(), nullptr);
    }
    while (!jobs_.empty()) end(jobs_.begin(), ResponseStatus::kCancelled, "the model was closed");
  }

  // False once the model is being destroyed.
  bool take_incoming() {
    const std::lock_guard lock(mutex_);
    jobs_.splice(jobs_.end(), incoming_);
    return !stopping_;
  }

  static bool is_cancelled(const Job& job) {
    return job.request.cancelled && job.request.cancelled->load();
  }

  void end_cancelled() {
    for (auto job = jobs_.begin(); job != jobs_.end();) {
      const auto next = std::next(job);
      if (is_cancelled(*job)) end(job, ResponseStatus::kCancelled, "cancelled");
      job = next;
    }
  }

  bool is_ready(const Job& job) const { return !job.transfer && job.not_before <= Clock::now(); }

  bool has_startable() const {
    return endpoints_.has_room(Clock::now()) &&
           std::any_of(jobs_.begin(), jobs_.end(), [this](const Job& j) { return is_ready(j); });
  }

  void start_ready() {
    for (auto job = jobs_.begin(); job != jobs_.end() && endpoints_.has_room(Clock::now());) {
      const auto next = std::next(job);
      if (is_ready(*job)) start(job);
      job = next;
    }
  }

  void start(Jobs::iterator job) {
    if (job->attempts == 0) {
      const std::string refusal = reserve_budget(*job);
      if (!refusal.empty()) return end(job, ResponseStatus::kOutOfBudget, refusal);
    }
    ++job->attempts;
    job->endpoint = endpoints_.acquire(Clock::now(), job->endpoint);
    if (recorded_) return finish_attempt(job, recorded_result(job->wire));
    try {
      job->transfer = std::make_unique<Transfer>(
          multi_, TransferRequest{url_of(*job), job->wire.body, key_, options_.timeout_s}, &*job);
    } catch (const Error& error) {
      endpoints_.release(job->endpoint, Endpoints::End::kUnknown, Clock::now());
      end(job, ResponseStatus::kFailed, error.what());
    }
  }

  TransferResult recorded_result(const WireRequest& request) {
    TransferResult result;
    const auto answer = recorded_->take(request);
    result.http_status = answer ? 200 : 404;
    result.body = answer.value_or("no answer to this request is left in " + options_.replay);
    return result;
  }

  // A recording with holes would be of no use: the first failure ends it.
  void record(const WireRequest& request, const std::string& answer) {
    if (!recorder_) return;
    try {
      recorder_->add(request, answer);
    } catch (const Error& error) {
      log::error("{}; the recording ends here", error.what());
      recorder_.reset();
    }
  }

  std::string url_of(const Job& job) const { return endpoints_.url(job.endpoint) + job.wire.path; }

  // Why the request does not fit the budget; empty when it does.
  std::string reserve_budget(Job& job) {
    const int64_t wanted = int64_t{job.wire.n} * job.request.sampling.max_tokens;
    const std::lock_guard lock(mutex_);
    const int64_t spent = total_.prompt_tokens + total_.completion_tokens;
    const int64_t tokens = spent + reserved_tokens_ + wanted;
    if (options_.max_total_tokens > 0 && tokens > options_.max_total_tokens) {
      return fmt::format(
          "token budget: {} spent and {} under way of max_total_tokens {}; this request may take "
          "{}",
          spent, reserved_tokens_, options_.max_total_tokens, wanted);
    }
    const double price = 1e-6 * options_.usd_per_mtok_out;
    const double usd = total_.usd + price * static_cast<double>(reserved_tokens_ + wanted);
    if (options_.max_total_usd > 0 && usd > options_.max_total_usd) {
      return fmt::format(
          "money budget: {:.4f} usd spent of max_total_usd {:.4f}; with the requests under way and "
          "this one it may become {:.4f}",
          total_.usd, options_.max_total_usd, usd);
    }
    job.reserved_tokens = wanted;
    reserved_tokens_ += wanted;
    return {};
  }

  void finish_transfers() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const void* owner = Transfer::owner_of(message->easy_handle);
      const CURLcode code = message->data.result;
      const auto job =
          std::find_if(jobs_.begin(), jobs_.end(), [&](const Job& j) { return &j == owner; });
      WEFT_ASSERT(job != jobs_.end());
      const TransferResult result = job->transfer->finish(code);
      job->transfer.reset();
      finish_attempt(job, result);
    }
  }

  void finish_attempt(Jobs::iterator job, const TransferResult& result) {
    WireAnswer answer;
    if (result.code == CURLE_OK) {
      // The key is taken out of an error before that is cut to length.
      const bool ok = result.http_status == 200;
      answer = decode_answer(result.http_status, ok ? result.body : without(result.body, key_),
                             job->wire.n, options_);
    } else {
      answer.kind = never_works(result.code) ? WireAnswer::Kind::kFailed : WireAnswer::Kind::kRetry;
      answer.response.error = one_line(result.error);
    }
    release_endpoint(*job, answer.kind, result.http_status);
    const std::string why = url_of(*job) + ": " + answer.response.error;
    if (answer.kind == WireAnswer::Kind::kAnswer) {
      record(job->wire, result.body);
      return deliver(job, std::move(answer.response));
    }
    if (answer.kind == WireAnswer::Kind::kRefused) return end(job, ResponseStatus::kRefused, why);
    if (answer.kind == WireAnswer::Kind::kFailed) return end(job, ResponseStatus::kFailed, why);
    const bool too_long = result.retry_after_s > kLongestRetryAfterS;
    if (job->attempts > options_.max_retries || too_long) {
      return end(job, ResponseStatus::kFailed,
                 fmt::format("{} (attempt {}{})", why, job->attempts,
                             too_long ? ", asked to wait longer than an hour" : ""));
    }
    const double wait_s = result.retry_after_s >= 0 ? result.retry_after_s : backoff_s(*job);
    log::debug("{}; again in {:.1f} s", without(why, key_), wait_s);
    job->not_before = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                         std::chrono::duration<double>(wait_s));
  }

  void release_endpoint(const Job& job, WireAnswer::Kind kind, long http_status) {
    constexpr long kTooManyRequests = 429;
    const auto end = kind != WireAnswer::Kind::kRetry  ? Endpoints::End::kAnswered
                     : http_status == kTooManyRequests ? Endpoints::End::kUnknown
                                                       : Endpoints::End::kFailed;
    if (!endpoints_.release(job.endpoint, end, Clock::now())) return;
    if (!options_.more_base_urls.empty()) {
      log::warn("{}: {} attempts in a row failed; left alone for a while",
                endpoints_.url(job.endpoint), Endpoints::kSickAfter);
    }
  }

  double backoff_s(const Job& job) {
    const double ceiling = options_.backoff_base_s * std::exp2(job.attempts - 1);
    return rng_.uniform() * std::min(ceiling, options_.backoff_cap_s);
  }

  void deliver(Jobs::iterator job, TextResponse response) {
    {
      const std::lock_guard lock(mutex_);
      total_.prompt_tokens += response.usage.prompt_tokens;
      total_.completion_tokens += response.usage.completion_tokens;
      total_.usd += response.usage.usd;
    }
    // One greedy choice stands for all (WireRequest::n).
    response.choices.resize(static_cast<size_t>(job->request.n), Completion(response.choices[0]));
    if (job->request.on_delta) {
      for (size_t i = 0; i < response.choices.size(); ++i) {
        const Completion& choice = response.choices[i];
        job->request.on_delta({static_cast<int>(i), choice.text, choice.ids, choice.logprobs});
      }
    }
    remove(job)(std::move(response));
  }

  void end(Jobs::iterator job, ResponseStatus status, const std::string& error) {
    TextResponse response;
    response.status = status;
    response.error = without(error, key_);
    remove(job)(std::move(response));
  }

  // Takes the job out of the list; what is left to do is to call its `done`.
  std::function<void(TextResponse)> remove(Jobs::iterator job) {
    {
      const std::lock_guard lock(mutex_);
      reserved_tokens_ -= job->reserved_tokens;
    }
    if (job->transfer) endpoints_.release(job->endpoint, Endpoints::End::kUnknown, Clock::now());
    auto done = std::move(job->done);
    jobs_.erase(job);
    return done;
  }

  int wait_ms() const {
    const auto now = Clock::now();
    auto next = now + std::chrono::milliseconds(kPollMs);
    const auto room = endpoints_.next_room(now);  // the end of a request wakes the thread as well
    double ms = kPollMs;
    for (const Job& job : jobs_) {
      if (job.request.cancelled) ms = kPollCancellableMs;
      if (!job.transfer) next = std::min(next, std::max(job.not_before, room));
    }
    ms = std::min(ms, std::chrono::duration<double, std::milli>(next - now).count());
    return static_cast<int>(std::ceil(std::max(ms, 0.0)));
  }

  const RemoteModelOptions options_;
  const std::string key_;
  mutable std::mutex mutex_;
  Jobs incoming_;
  TextUsage total_;
  int64_t reserved_tokens_ = 0;
  bool stopping_ = false;
  Jobs jobs_;
  Endpoints endpoints_;
  Rng rng_;
  std::unique_ptr<AnswerRecorder> recorder_;
  std::unique_ptr<RecordedAnswers> recorded_;
  CURLM* multi_;
  std::thread thread_;
};

RemoteModel::RemoteModel(RemoteModelOptions options) {
  options.validate();
  loop_ = std::make_unique<Loop>(std::move(options));
}

RemoteModel::~RemoteModel() = default;

void RemoteModel::submit(TextRequest request, std::function<void(TextResponse)> done) {
  loop_->submit(std::move(request), std::move(done));
}

std::string RemoteModel::name() const {
  const std::string& model = loop_->options().model;
  return model.empty() ? loop_->options().base_url : model;
}

TextUsage RemoteModel::total_usage() const { return loop_->total_usage(); }

}  // namespace weft
