#include "base/program.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <map>
#include <new>

#include "base/error.h"
#include "base/log.h"
#include "base/stop.h"

namespace weft::program_detail {
namespace {

constexpr int kDone = 0, kFailed = 1, kUsage = 2, kSignalBase = 128;

struct CommandLine {
  std::string config_file;
  std::string section;
  std::vector<std::string> overrides;
  std::map<std::string, std::string> aliases;  ///< config key -> text
  bool resume = false;
  bool dry_run = false;
};

void declare_flags(CLI::App& app, const ProgramSpec& spec, const Json& defaults,
                   CommandLine& line) {
  app.set_version_flag("--version", std::string(spec.name) + " (weft) " WEFT_VERSION);
  app.add_option("--config", line.config_file,
                 "config file, JSON with comments; may hold a section for each program");
  app.add_option("--section", line.section,
                 "section of the config file to take in place of the one named as the program");
  app.add_option("--set", line.overrides, "KEY.PATH=VALUE, overrides the config file; repeatable")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--dry-run", line.dry_run,
               "print the resolved config and what would keep it from starting, do no work");
  if (defaults.contains("out")) {
    app.add_option("--out", line.aliases["out"], "what the results go to; key \"out\"");
  }
  if (spec.resumable) {
    app.add_flag("--resume", line.resume, "go on where an earlier run of the same config stopped");
  }
  for (const auto& alias : spec.flags) {
    std::string& text = line.aliases[alias.key];
    const std::string help = std::string(alias.help) + "; key \"" + alias.key + "\"";
    const auto found = defaults.find(alias.key);
    if (found != defaults.end() && found->is_boolean()) {
      app.add_flag_callback(
          alias.flag, [&text] { text = "true"; }, help);
    } else if (found != defaults.end() && found->is_array()) {
      constexpr int kMostItems = 1000;
      app.add_option_function<std::vector<std::string>>(
             alias.flag,
             [&text](const std::vector<std::string>& items) {
               text = items.size() == 1 ? items[0] : dump_json(Json(items));
             },
             help)
          ->expected(1, kMostItems)
          ->allow_extra_args(false);  // else "[..]", which is JSON, would be taken apart
    } else {
      app.add_option(alias.flag, text, help);
    }
  }
}

/// The config for this program: one file may hold the whole line, a section for each program by
/// its name and "common" for all; a file with neither is the program's config itself. `section`
/// names another section to take; it has to be there.
Json read_config(const std::string& path, const char* program, const std::string& section) {
  Json file = read_json_file(path);
  if (!section.empty() && !(file.is_object() && file.contains(section))) {
    throw InputError("--section: expected the name of a section of " + path + ", got \"" + section +
                     "\"");
  }
  const std::string name = section.empty() ? program : section;
  if (!file.is_object() || !(file.contains(name) || file.contains("common"))) return file;
  Json json = file.value("common", Json::object());
  json.merge_patch(file.value(name, Json::object()));
  return json;
}

/// Config file, then flags, then --set. A flag's text stays text where the config wants a string:
/// --out 3 names a folder "3". Where it wants a list of strings, so does one that is no list, and
/// several are one.
Json collect_overrides(const CommandLine& line, const char* program, const Json& defaults) {
  if (!line.section.empty() && line.config_file.empty()) {
    throw InputError("--section: expected a --config FILE that holds it, got none");
  }
  Json json = line.config_file.empty() ? Json::object()
                                       : read_config(line.config_file, program, line.section);
  for (const auto& [key, text] : line.aliases) {
    if (text.empty()) continue;
    const auto found = defaults.find(key);
    const bool is_text = found != defaults.end() &&
                         (found->is_string() || (found->is_array() && !text.starts_with('[')));
    if (is_text) {
      json[key] = text;
    } else {
      apply_override(json, key + "=" + text);
    }
  }
  for (const auto& assignment : line.overrides) apply_override(json, assignment);
  return json;
}

/// Prints what the run would be. Throws InputError with the last of the problems that keep it from
/// being, after logging the others.
void dry_run(const ConfigHooks& hooks, const Json& config, bool resume) {
  Json shown = {{"config", config}};
  StartCheck plans(resume), here(resume);
  if (hooks.memory_plan) {
    plans.without_error([&] { shown["memory_plan"] = hooks.memory_plan(config); });
  }
  if (hooks.data_plan) {
    plans.without_error([&] {
      if (const Json data = hooks.data_plan(config); !data.is_null()) shown["data"] = data;
    });
  }
  if (hooks.check_start) hooks.check_start(config, here);
  std::vector<std::string> problems = plans.problems();
  if (hooks.plans_for_a_card && hooks.plans_for_a_card(config)) {
    if (!here.problems().empty()) shown["missing"] = here.problems();
  } else {
    problems.insert(problems.end(), here.problems().begin(), here.problems().end());
  }
  std::cout << dump_json_pretty(shown) << std::flush;
  if (problems.empty()) return;
  for (size_t i = 0; i + 1 < problems.size(); ++i) log::error("{}", problems[i]);
  throw InputError(problems.back());
}

int guarded(const std::function<void()>& body) {
  const auto fail = [](int code, const char* what) {
    log::write(log::Level::kError, what);
    return code;
  };
  try {
    body();
    return kDone;
  } catch (const Interrupted& error) {
    log::warn("{}", error.what());
    return kSignalBase + error.signal();
  } catch (const InputError& error) {
    return fail(kUsage, error.what());
  } catch (const std::bad_alloc&) {
    return fail(kFailed, "out of memory");
  } catch (const std::exception& error) {
    return fail(kFailed, error.what());
  }
}

}  // namespace

int run(int argc, char** argv, const ProgramSpec& spec, const ConfigHooks& hooks) {
  CLI::App app(spec.summary, spec.name);
  CommandLine line;
  declare_flags(app, spec, hooks.defaults, line);
  app.footer("Config keys (default, meaning):\n" + hooks.describe());
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {
    return app.exit(request);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "%s: %s (see --help)\n", spec.name, error.what());
    return kUsage;
  }
  install_stop_handlers();
  return guarded([&] {
    ProgramArgs args;
    args.resume = line.resume;
    args.defaults = hooks.defaults;
    args.config = hooks.resolve(collect_overrides(line, spec.name, hooks.defaults));
    if (line.dry_run) {
      dry_run(hooks, args.config, line.resume);
    } else {
      hooks.run(args.config, args);
    }
  });
}

}  // namespace weft::program_detail
