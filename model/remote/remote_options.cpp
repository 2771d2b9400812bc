#include "model/remote/remote_options.h"

#include "base/error.h"
#include "base/machine.h"

namespace weft {

std::vector<std::string> urls_of(const RemoteModelOptions& options) {
  std::vector<std::string> urls = {options.base_url};
  urls.insert(urls.end(), options.more_base_urls.begin(), options.more_base_urls.end());
  for (std::string& url : urls) {
    while (url.ends_with('/')) url.pop_back();
  }
  return urls;
}

std::chrono::nanoseconds spacing_of(const RemoteModelOptions& options) {
  const int limit = options.replay.empty() ? options.max_requests_per_minute : 0;
  if (limit == 0) return {};
  return (std::chrono::nanoseconds(std::chrono::minutes(1)) + std::chrono::nanoseconds(limit - 1)) /
         limit;
}

std::string origin_of(const std::string& url) {
  const size_t host = url.find("://");
  return host == std::string::npos ? "" : url.substr(0, url.find_first_of("/?#", host + 3));
}

void RemoteModelOptions::check_start(const std::string& key, StartCheck& check) const {
  if (!replay.empty()) return check.file(key + ".replay", replay);
  check.environment(key + ".api_key_env", api_key_env);
  if (!record.empty()) check.output_file(key + ".record", record);
}

void RemoteModelOptions::validate() const {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw InputError(what);
  };
  for (const std::string& url : urls_of(*this)) {
    require(url.starts_with("http://") || url.starts_with("https://"),
            "base_url and more_base_urls: expected http:// or https://");
    require(origin_of(url).find('@') == std::string::npos,
            "base_url and more_base_urls: expected no user or password in the address; a key comes "
            "from api_key_env");
  }
  require(max_tokens_field == "max_tokens" || max_tokens_field == "max_completion_tokens",
          "max_tokens_field: expected max_tokens or max_completion_tokens");
  require(connect_timeout_s > 0, "connect_timeout_s: expected a number > 0");
  require(timeout_s > 0, "timeout_s: expected a number > 0");
  require_concurrent("max_concurrent", max_concurrent);
  require(max_requests_per_minute >= 0, "max_requests_per_minute: expected an integer >= 0");
  require(max_retries >= 0, "max_retries: expected an integer >= 0");
  require(backoff_base_s >= 0 && backoff_cap_s >= 0, "backoff: expected numbers >= 0");
  require(usd_per_mtok_in >= 0 && usd_per_mtok_out >= 0, "usd_per_mtok: expected numbers >= 0");
  require(max_total_tokens >= 0 && max_total_usd >= 0, "budget: expected numbers >= 0");
  require(record.empty() || replay.empty(), "record and replay: expected one of them");
  require(extra_body.is_object(), "extra_body: expected an object");
}

}  // namespace weft
