#include "model/remote/remote_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/rng.h"
#include "model/remote/answer.h"
#include "model/remote/endpoints.h"
#include "model/remote/recording.h"
#include "model/remote/remote_job.h"
#include "model/remote/secret.h"
#include "model/remote/spending.h"
#include "model/remote/transfer.h"
#include "model/remote/wire.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPollMs = 1000;
constexpr int kPollCancellableMs = 20;
constexpr double kLongestRetryAfterS = 3600;
constexpr long kTooManyRequests = 429;

Clock::duration to_duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

const std::string& name_of(const RemoteModelOptions& options) {
  return options.model.empty() ? options.base_url : options.model;
}

CURLM* new_multi() {
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM* multi = initialised == CURLE_OK ? curl_multi_init() : nullptr;
  if (!multi) throw Error("libcurl: cannot be initialised");
  return multi;
}

bool is_redirect(long http_status) { return http_status == 307 || http_status == 308; }

bool never_works(CURLcode code) {
  return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
}

}  // namespace

/// The thread with its queue. `jobs_`, `endpoints_` and `rng_` belong to the thread.
class RemoteModel::Loop {
 public:
  explicit Loop(RemoteModelOptions options)
      : options_(std::move(options)),
        key_(options_.replay.empty() ? Secret::from_environment(options_.api_key_env) : Secret()),
        spending_(options_),
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
    job.request = std::move(request);
    try {
      job.lowered = fit_to_allowance(job.request, estimated_prompt_tokens(job.request), price());
    } catch (const BudgetError& error) {
      return done(TextResponse::unanswered(ResponseStatus::kOutOfBudget, error.what()));
    }
    job.wire = encode_request(job.request, options_);
    job.num_choices = job.wire.n;
    job.done = std::move(done);
    {
      const std::lock_guard lock(mutex_);
      incoming_.push_back(std::move(job));
    }
    curl_multi_wakeup(multi_);
  }

  const RemoteModelOptions& options() const { return options_; }

  TextPrice price() const { return spending_.price(); }

  TextUsage total_usage() const { return spending_.total(); }

 private:
  using Job = RemoteJob;
  using Jobs = std::list<Job>;

  void run() {
    while (take_incoming()) {
      end_cancelled();
      end_silent();
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

  void end_cancelled() {
    for (auto job = jobs_.begin(); job != jobs_.end();) {
      const auto next = std::next(job);
      if (job->is_cancelled()) end(job, ResponseStatus::kCancelled, "cancelled");
      job = next;
    }
  }

  Clock::time_point silence_ends(Job& job) const {
    return job.transfer->silent_since() + to_duration(options_.timeout_s);
  }

  void end_silent() {
    for (auto job = jobs_.begin(); job != jobs_.end();) {
      const auto next = std::next(job);
      if (job->transfer && silence_ends(*job) <= Clock::now()) {
        job->transfer.reset();
        TransferResult result;
        result.code = CURLE_OPERATION_TIMEDOUT;
        result.error = fmt::format("no byte for {} s", options_.timeout_s);
        finish_attempt(job, result);
      }
      job = next;
    }
  }

  bool is_ready(const Job& job) const {
    return !job.transfer && !job.waits_for_budget && job.not_before <= Clock::now();
  }

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
    if (job->reserved) {
      const std::string spent = spending_.spent();
      if (!spent.empty()) return end(job, ResponseStatus::kOutOfBudget, spent);
    } else if (!reserve(job)) {
      return;
    }
    ++job->attempts;
    job->endpoint = endpoints_.acquire(Clock::now(), job->endpoint);
    if (recorded_) return finish_attempt(job, recorded_result(job->wire));
    send(job);
  }

  // False when the job waits for the budget or has ended.
  bool reserve(Jobs::iterator job) {
    using Kind = Spending::Reservation::Kind;
    const auto got = spending_.reserve(job->request, job->num_choices);
    if (got.kind == Kind::kSpent) {
      end(job, ResponseStatus::kOutOfBudget, got.error);
      return false;
    }
    job->waits_for_budget = got.kind == Kind::kLater;
    job->reserved = !job->waits_for_budget;
    job->claim = got.claim;
    if (got.kind == Kind::kLowered) {
      job->lowered = true;
      job->wire = encode_request(job->request, options_);
    }
    return job->reserved;
  }

  void send(Jobs::iterator job) {
    try {
      job->transfer = std::make_unique<Transfer>(
          multi_,
          TransferRequest{url_of(*job), job->wire.body, key_.key(), options_.connect_timeout_s},
          &*job);
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

  std::string url_of(const Job& job) const {
    return job.redirect.empty() ? endpoints_.url(job.endpoint) + job.wire.path : job.redirect;
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
    if (result.code == CURLE_OK && is_redirect(result.http_status) && follow(job, result)) return;
    WireAnswer answer;
    const std::string body = key_.scrub(result.body);
    if (result.code == CURLE_OK) {
      answer = decode_answer(result.http_status, body, job->wire.n, options_);
      count(*job, answer.response.usage);
    } else {
      answer.kind = never_works(result.code) ? WireAnswer::Kind::kFailed : WireAnswer::Kind::kRetry;
      answer.response.error = one_line(result.error);
    }
    release_endpoint(*job, answer.kind, result.http_status);
    std::string why = url_of(*job) + ": " + answer.response.error;
    if (is_redirect(result.http_status)) {
      why += " (sent on to " + one_line(result.redirect_url) + ", which is not the same server)";
    }
    job->redirect.clear();
    job->num_redirects = 0;
    switch (answer.kind) {
      case WireAnswer::Kind::kAnswer:
        record(job->wire, body);
        return take(job, std::move(answer.response));
      case WireAnswer::Kind::kRefused:
        return end(job, ResponseStatus::kRefused, why);
      case WireAnswer::Kind::kFailed:
        return end(job, ResponseStatus::kFailed, why);
      case WireAnswer::Kind::kRetry:
        return try_again(job, result, why);
    }
  }

  // Whether the attempt goes on at another address of the same server.
  bool follow(Jobs::iterator job, const TransferResult& result) {
    constexpr int kMaxRedirects = 5;
    if (origin_of(result.redirect_url).empty() ||
        origin_of(result.redirect_url) != origin_of(endpoints_.url(job->endpoint)) ||
        ++job->num_redirects > kMaxRedirects) {
      return false;
    }
    job->redirect = result.redirect_url;
    send(job);
    return true;
  }

  // Counted whatever becomes of the answer: it was paid for.
  void count(Job& job, TextUsage usage) {
    if (usage.estimated && usage.prompt_tokens == 0) {
      usage.prompt_tokens = job.claim.prompt_tokens;
      usage.usd += 1e-6 * static_cast<double>(usage.prompt_tokens) * options_.usd_per_mtok_in;
    }
    if (usage.estimated && !std::exchange(said_estimated_, true)) {
      log::warn("{} reports no usage: its tokens are counted by 4 bytes each", name_of(options_));
    }
    spending_.add(usage);
    job.gathered.usage.add(usage);
  }

  void try_again(Jobs::iterator job, const TransferResult& result, const std::string& why) {
    const bool too_long = result.retry_after_s > kLongestRetryAfterS;
    if (job->attempts > options_.max_retries || too_long) {
      return end(job, ResponseStatus::kFailed,
                 fmt::format("{} (attempt {}{})", why, job->attempts,
                             too_long ? ", asked to wait longer than an hour" : ""));
    }
    const double wait_s = result.retry_after_s >= 0 ? result.retry_after_s : backoff_s(*job);
    log::debug("{}; again in {:.1f} s", key_.scrub(why), wait_s);
    if (result.http_status == kTooManyRequests) {
      // The server is full for every request in the queue, not for this one. The jitter keeps the
      // clients of one server from coming back together.
      const double jitter_s = rng_.uniform() * std::max(0.1 * wait_s, options_.backoff_base_s);
      endpoints_.pause(job->endpoint, Clock::now() + to_duration(wait_s + jitter_s));
    } else {
      job->not_before = Clock::now() + to_duration(wait_s);
    }
  }

  void release_endpoint(const Job& job, WireAnswer::Kind kind, long http_status) {
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

  // Adds the answer's choices; what is missing is asked for one by one.
  void take(Jobs::iterator job, TextResponse response) {
    TextResponse& all = job->gathered;
    if (all.choices.empty()) {
      all.prompt_ids = std::move(response.prompt_ids);
      all.prompt_logprobs = std::move(response.prompt_logprobs);
    }
    for (Completion& choice : response.choices) {
      choice.text = key_.scrub(std::move(choice.text));
      choice.reasoning = key_.scrub(std::move(choice.reasoning));
      all.choices.push_back(std::move(choice));
    }
    if (static_cast<int>(all.choices.size()) == job->num_choices) return deliver(job);
    TextRequest next = job->request;
    next.n = 1;
    next.sampling.seed = hash_combine(next.sampling.seed, all.choices.size());
    job->wire = encode_request(next, options_);
    job->attempts = 0;
  }

  void deliver(Jobs::iterator job) {
    TextResponse response = std::move(job->gathered);
    response.lowered = job->lowered;
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
    const TextUsage usage = job->gathered.usage;
    remove(job)(TextResponse::unanswered(status, key_.scrub(error), usage));
  }

  // Takes the job out of the list; what is left to do is to call its `done`.
  std::function<void(TextResponse)> remove(Jobs::iterator job) {
    if (job->reserved) {
      spending_.release(job->claim);
      for (Job& other : jobs_) other.waits_for_budget = false;
    }
    if (job->transfer) endpoints_.release(job->endpoint, Endpoints::End::kUnknown, Clock::now());
    auto done = std::move(job->done);
    jobs_.erase(job);
    return done;
  }

  int wait_ms() {
    const auto now = Clock::now();
    auto next = now + std::chrono::milliseconds(kPollMs);
    const auto room = endpoints_.next_room(now);  // the end of a request wakes the thread as well
    double ms = kPollMs;
    for (Job& job : jobs_) {
      if (job.request.cancelled) ms = kPollCancellableMs;
      if (job.waits_for_budget) continue;
      next = std::min(next, job.transfer ? silence_ends(job) : std::max(job.not_before, room));
    }
    ms = std::min(ms, std::chrono::duration<double, std::milli>(next - now).count());
    return static_cast<int>(std::ceil(std::max(ms, 0.0)));
  }

  const RemoteModelOptions options_;
  const Secret key_;
  Spending spending_;
  std::mutex mutex_;
  Jobs incoming_;
  bool stopping_ = false;
  Jobs jobs_;
  Endpoints endpoints_;
  Rng rng_;
  bool said_estimated_ = false;
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

std::string RemoteModel::name() const { return name_of(loop_->options()); }

TextPrice RemoteModel::price() const { return loop_->price(); }

TextUsage RemoteModel::total_usage() const { return loop_->total_usage(); }

}  // namespace weft
