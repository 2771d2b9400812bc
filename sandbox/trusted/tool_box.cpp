#include "sandbox/trusted/tool_box.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "base/utf8.h"
#include "sandbox/trusted/embedded.h"
#include "sandbox/trusted/trusted_function.h"

namespace weft {
namespace {

constexpr const char* kTaken[] = {"create_llm_instance", "exec_code",   "extract_code",
                                  "DatasetType",         "WorkerError", "Workflow"};

Limits limits_of(const ToolOptions& options) {
  Limits limits;
  limits.cpu_ms = options.wall_ms;
  limits.wall_ms = options.wall_ms;
  limits.memory_mb = options.memory_mb;
  return limits;
}

std::string in_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return utf8_prefix(text, kMaxToolText);
}

std::vector<Tool> list_tools(Sandbox& sandbox, const std::string& source,
                             const ToolOptions& options) {
  const auto fail = [&](const std::string& problem) {
    throw InputError("tools.file: " + options.file + ": " + problem);
  };
  const TrustedFunction list(sandbox, source + std::string(tool_listing_source()),
                             "weft_list_tools_", limits_of(options));
  const auto reply = list.call({});
  if (!reply.value) fail(in_one_line(reply.fault));
  std::vector<Tool> tools;
  for (const auto& item : reply.value->items) {
    tools.push_back({item.items.at(0).text, item.items.at(1).text,
                     utf8_prefix(item.items.at(2).text, kMaxToolText)});
    for (const char* taken : kTaken) {
      if (tools.back().name == taken) fail("workflows have a " + tools.back().name + " already");
    }
  }
  if (tools.empty()) fail("it defines no public function");
  return tools;
}

}  // namespace

void ToolOptions::validate() const {
  require_at_least("max_calls", max_calls, 1);
  require_at_least("wall_ms", wall_ms, 1);
  require_at_least("memory_mb", memory_mb, 1);
  require_memory_mb("memory_mb", memory_mb);
  static_cast<void>(WebAccess(hosts));
  if (!hosts.empty() && file.empty()) {
    throw InputError("hosts: expected a file of tools beside it, got none");
  }
}

ToolBox::ToolBox(Sandbox& sandbox, const ToolOptions& options)
    : sandbox_(sandbox),
      options_(options),
      source_(read_file(options.file)),
      tools_(list_tools(sandbox, source_, options)),
      web_(options.hosts.empty() ? std::nullopt : std::optional<WebAccess>(options.hosts)),
      queue_(static_cast<size_t>(sandbox.options().num_slots)) {}

bool ToolBox::has(const std::string& name) const {
  return std::any_of(tools_.begin(), tools_.end(),
                     [&](const Tool& tool) { return tool.name == name; });
}

std::string ToolBox::text() const {
  std::string text;
  for (const Tool& tool : tools_) {
    text += "- " + tool.name + tool.signature;
    if (!tool.documentation.empty()) text += ": " + tool.documentation;
    text += "\n";
  }
  return text;
}

void ToolBox::call(Call call, std::function<void(ToolReply)> done) const {
  queue_.submit([this, call = std::move(call), done = std::move(done)] { done(run(call)); });
}

ToolReply ToolBox::run(const Call& call) const {
  ToolReply reply;
  try {
    const TrustedFunction function(sandbox_, source_, call.name, limits_of(options_), call.files);
    auto answer =
        function.call(call.arguments, call.keywords, call.cancelled.get(), web_ ? &*web_ : nullptr);
    reply.value = std::move(answer.value);
    reply.fault = in_one_line(call.name + ": " + answer.fault);
    reply.met_time_limit = answer.met_time_limit;
  } catch (const InputError& error) {
    reply.fault = in_one_line(call.name + ": " + error.what());
  } catch (const Error& error) {
    reply.infra = error.what();
  }
  return reply;
}

}  // namespace weft
