#include "base/start_check.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool can(const fs::path& path, int mode) { return access(path.c_str(), mode) == 0; }

bool has_weights(const fs::path& folder) {
  std::error_code error;
  const fs::directory_iterator entries(folder, error);
  return std::any_of(begin(entries), end(entries),
                     [](const auto& entry) { return entry.path().extension() == ".safetensors"; });
}

// "owner/name", of which nothing is here.
bool looks_like_a_hub_name(const std::string& path) {
  return std::count(path.begin(), path.end(), '/') == 1 && path.front() != '/' &&
         path.front() != '.' && path.back() != '/' && !is_there(fs::path(path).parent_path());
}

std::string missing_folder(const std::string& key, const std::string& path, const char* what) {
  if (path.empty()) return key + ": expected " + what + ", got nothing";
  std::string text = key + ": expected " + what + ", got " + path;
  if (is_there(path)) return text + ", which is no folder";
  text += ", which is not there";
  if (!looks_like_a_hub_name(path)) return text;
  return text + "; where that is a name on the Hub: hf download " + path + " --local-dir DIR";
}

// Of a path that is to be made: the folder that there is, under which.
fs::path nearest_folder(const fs::path& path) {
  fs::path at = fs::absolute(path).lexically_normal();
  while (!is_there(at) && at.has_relative_path()) at = at.parent_path();
  return at;
}

}  // namespace

void StartCheck::file(const std::string& key, const std::string& path) {
  if (path.empty()) return add(key + ": expected a file, got nothing");
  if (path == "-") return;
  if (!is_there(path)) return add(key + ": expected a file, got " + path + ", which is not there");
  if (is_folder(path)) return add(key + ": expected a file, got " + path + ", which is a folder");
  if (!can(path, R_OK)) add(key + ": " + path + " cannot be read by this user");
}

void StartCheck::model_folder(const std::string& key, const std::string& path) {
  if (!is_folder(path)) return add(missing_folder(key, path, "a model folder"));
  const fs::path folder = path;
  std::string lacks;
  if (!is_there(folder / "config.json")) lacks = "config.json";
  if (!has_weights(folder)) lacks += (lacks.empty() ? "" : ", ") + std::string("*.safetensors");
  if (!is_there(folder / "tokenizer.json") && !is_there(folder / "tokenizer.model")) {
    lacks += (lacks.empty() ? "" : ", ") + std::string("tokenizer.json or tokenizer.model");
  }
  if (lacks.empty()) return;
  std::string problem = key + ": " + path + " has no " + lacks;
  if (is_there(folder / "final")) problem += "; a run's model is in " + (folder / "final").string();
  add(std::move(problem));
}

void StartCheck::adapter_folder(const std::string& key, const std::string& path) {
  if (!is_folder(path)) return add(missing_folder(key, path, "a PEFT folder"));
  const fs::path folder = path;
  if (is_there(folder / "adapter_config.json") && has_weights(folder)) return;
  std::string problem = key + ": expected a PEFT folder, got " + path +
                        ", which has no adapter_config.json with *.safetensors";
  if (is_there(folder / "final" / "adapter_config.json")) {
    problem += "; it is a run's folder, whose adapter is in " + (folder / "final").string();
  }
  add(std::move(problem));
}

void StartCheck::run_folder(const std::string& key, const std::string& path) {
  if (path.empty())
    return add(key + ": expected a folder for the run, got nothing; give --out DIR");
  const bool holds_run = is_there(fs::path(path) / "config.json");
  if (holds_run && !resume_) {
    return add(key + ": " + path +
               " holds a run: continue it with --resume, or choose another --out");
  }
  if (!holds_run && resume_) return add(key + ": " + path + " holds no run to resume");
  const fs::path folder = nearest_folder(path);
  if (!is_folder(folder)) {
    return add(key + ": " + path + " cannot be made, " + folder.string() + " is a file");
  }
  if (!can(folder, W_OK | X_OK)) {
    add(key + ": " + path + " cannot be written, this user may not write in " + folder.string());
  }
}

void StartCheck::environment(const std::string& key, const std::string& name) {
  if (name.empty()) return;
  const char* value = std::getenv(name.c_str());
  if (!value || !*value) {
    add(key + ": expected the environment variable " + name + " to be set, it is not");
  }
}

void StartCheck::without_error(const std::function<void()>& check) {
  try {
    check();
  } catch (const InputError& error) {
    add(error.what());
  } catch (const Error& error) {
    add(error.what());
  }
}

}  // namespace weft
