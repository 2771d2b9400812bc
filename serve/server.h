/// What net/ serves: OpenAI's endpoints over any TextModel, /v1/workflows, /metrics and the page.
///
/// A key that is missing or wrong (401), and a body that does not call itself application/json
/// (415), are refused before the body is read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/start_check.h"
#include "model/text_model.h"
#include "model/tokenizer/chat_template.h"
#include "model/tokenizer/tokenizer.h"
#include "serve/metrics.h"
#include "serve/workflow_service.h"

namespace weft {

struct HttpOptions {
  std::string host = "127.0.0.1";  ///< address to bind; others than loopback want an api_key_env
  int port = 8000;                 ///< 0: a free one
  std::string api_key_env;         ///< variable with the key clients must send; empty: none
  int max_requests = 64;           ///< generation and workflow requests at a time; more get 429
  int max_choices = 128;           ///< completions of one request
  int64_t max_body_kb = 4096;      ///< larger bodies get 413
  int default_max_tokens = 0;      ///< of a chat that names none; 0: the rest of the context
  double drain_s = 30;             ///< after SIGTERM, time for running requests to end
  double keep_alive_s = 75;        ///< for which a connection is kept between requests
  std::string certificate_file;    ///< PEM, a chain from the server's own; empty: no TLS
  std::string key_file;            ///< PEM, of the certificate

  template <class V>
  void visit(V& v) {
    v("host", host, "address to listen on");
    v("port", port, "port to listen on, 0: a free one");
    v("api_key_env", api_key_env, "environment variable with the API key; empty: no key");
    v("max_requests", max_requests, "requests answered at a time; more get 429");
    v("max_choices", max_choices, "completions of one request");
    v("max_body_kb", max_body_kb, "largest request body, KiB");
    v("default_max_tokens", default_max_tokens,
      "of a chat request that names none; 0: the rest of the context");
    v("drain_s", drain_s, "seconds that running requests get after SIGTERM");
    v("keep_alive_s", keep_alive_s, "seconds for which a connection is kept between requests");
    v("certificate_file", certificate_file, "PEM file with the TLS certificate; empty: no TLS");
    v("key_file", key_file, "PEM file with its key");
  }
  void validate() const;  ///< throws InputError
  void check_start(StartCheck& check) const;
};

/// A name that clients may give as `model`.
struct ServedName {
  std::string id;
  std::string adapter;      ///< empty: the base weights
  std::string description;  ///< what it is, for readers; may be empty
};

/// What is served. Everything is borrowed.
struct ServedModel {
  TextModel* model = nullptr;
  std::vector<ServedName> names;         ///< at least one; the first is the default
  const Tokenizer* tokenizer = nullptr;  ///< null: no /tokenize, lengths are not checked here
  const ChatTemplate* chat_template = nullptr;
  std::string adapter_dir;          ///< of the adapter that writes workflows; empty: none
  int64_t max_context = 0;          ///< tokens; 0: unknown
  std::function<ModelLoad()> load;  ///< may be empty
};

class Server {
 public:
  /// Reads the API key and the TLS files. Throws InputError on bad options and files, or if the
  /// named variable is not set.
  Server(ServedModel served, const WorkflowService* workflows, WorkflowBudget budget,
         HttpOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Binds and listens on threads of its own. Throws Error when the port is in use.
  void start();

  int port() const;
  std::string url() const;

  /// Refuses new requests (503, /health too), waits up to drain_s for running ones, cancels what is
  /// left, stops listening.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Starts, logs the address, waits for SIGINT or SIGTERM, stops. Throws Interrupted then.
void serve_until_stopped(Server& server);

/// page.html, compiled in.
std::string_view serve_page();

}  // namespace weft
