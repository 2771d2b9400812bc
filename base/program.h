/// What every program has in common: the command line, the config, exit codes (0 done, 1 the
/// work failed, 2 usage, config or input error, 130 / 143 after SIGINT / SIGTERM).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/json.h"
#include "base/start_check.h"

namespace weft {

/// A command-line flag that sets a config key: {"--in", "in", "file to read"}.
struct FlagAlias {
  const char* flag;
  const char* key;
  const char* help;
};

struct ProgramSpec {
  const char* name;
  const char* summary;
  std::vector<FlagAlias>
      flags;  ///< beside --config --section --set --out --resume --dry-run --help --version
  bool resumable =
      false;  ///< has --resume: goes on where an earlier run of the same config stopped
};

struct ProgramArgs {
  bool resume = false;
  Json config;                     ///< resolved, every default filled in
  Json defaults = Json::object();  ///< the config with no override
};

namespace program_detail {

/// The type-erased half of run_program.
struct ConfigHooks {
  Json defaults;                                 ///< the config with no override, not validated
  std::function<Json(const Json&)> resolve;      ///< overrides -> full config
  std::function<std::string()> describe;         ///< text for --help
  std::function<Json(const Json&)> memory_plan;  ///< null when the config has none
  std::function<Json(const Json&)> data_plan;    ///< null when the config has none
  std::function<void(const Json&, StartCheck&)> check_start;  ///< null when the config has none
  std::function<bool(const Json&)> plans_for_a_card;          ///< null likewise
  std::function<void(const Json&, const ProgramArgs&)> run;
};
int run(int argc, char** argv, const ProgramSpec& spec, const ConfigHooks& hooks);

}  // namespace program_detail

/// A config with `Json memory_plan() const` has that printed by --dry-run.
template <class Config>
concept HasMemoryPlan = requires(const Config c) {
  { c.memory_plan() } -> std::convertible_to<Json>;
};

/// A config with `Json data_plan() const` has that printed by --dry-run, unless it is null.
template <class Config>
concept HasDataPlan = requires(const Config c) {
  { c.data_plan() } -> std::convertible_to<Json>;
};

/// A config with `void check_start(StartCheck&) const` answers by --dry-run whether a run would
/// start: it ends with exit code 2 and every problem where not, with an Error of memory_plan or
/// data_plan among them.
template <class Config>
concept HasStartCheck = requires(const Config c, StartCheck& check) {
  c.check_start(check);
};

/// With `bool plans_for_a_card() const` true, --dry-run plans for another machine: what is missing
/// here is listed under "missing" and only the plans decide.
template <class Config>
concept MayPlanForACard = requires(const Config c) {
  { c.plans_for_a_card() } -> std::convertible_to<bool>;
};

/// Config file: either this program's config, or an object with a section for each program under
/// its name, or one named "common", over which the program's own is merged, or the one that
/// --section names where a program runs twice. Flags lie over the file, --set over flags.
///
/// Parses, resolves the config, runs `body` and turns exceptions into one line on standard error
/// and an exit code. The flag --out exists for configs with an "out" key.
template <class Config, class Body>
int run_program(int argc, char** argv, const ProgramSpec& spec, Body body) {
  program_detail::ConfigHooks hooks;
  hooks.defaults = config_to_json(Config{});
  hooks.resolve = [](const Json& json) { return config_to_json(load_config<Config>(json)); };
  hooks.describe = [] { return describe_config<Config>(); };
  if constexpr (HasMemoryPlan<Config>) {
    hooks.memory_plan = [](const Json& json) { return load_config<Config>(json).memory_plan(); };
  }
  if constexpr (HasDataPlan<Config>) {
    hooks.data_plan = [](const Json& json) { return load_config<Config>(json).data_plan(); };
  }
  if constexpr (HasStartCheck<Config>) {
    hooks.check_start = [](const Json& json, StartCheck& check) {
      load_config<Config>(json).check_start(check);
    };
  }
  if constexpr (MayPlanForACard<Config>) {
    hooks.plans_for_a_card = [](const Json& json) {
      return load_config<Config>(json).plans_for_a_card();
    };
  }
  hooks.run = [&body](const Json& json, const ProgramArgs& args) {
    body(load_config<Config>(json), args);
  };
  return program_detail::run(argc, argv, spec, hooks);
}

}  // namespace weft
