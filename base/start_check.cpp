#include "base/start_check.h"

#include <netdb.h>
#include <sys/socket.h>
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

// Why this user cannot make or change what lies in `folder`; empty where he can.
std::string why_not_writable(const fs::path& folder) {
  if (!is_folder(folder)) return "cannot be made, " + folder.string() + " is a file";
  if (can(folder, W_OK | X_OK)) return "";
  return "cannot be written, this user may not write in " + folder.string();
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

bool StartCheck::files(const std::string& key, const std::vector<std::string>& paths) {
  const size_t before = problems_.size();
  if (paths.empty()) file(key, "");
  for (const std::string& path : paths) file(key, path);
  return problems_.size() == before && std::find(paths.begin(), paths.end(), "-") == paths.end();
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

void StartCheck::checkpoint_folder(const std::string& key, const std::string& path) {
  const fs::path folder = path;
  if (is_folder(path) && !is_there(folder / "config.json")) return adapter_folder(key, path);
  model_folder(key, path);
}

void StartCheck::output_file(const std::string& key, const std::string& path) {
  if (path == "-") return;
  if (path.empty()) return add(key + ": expected a file to write, got nothing");
  if (is_folder(path)) return add(key + ": expected a file, got " + path + ", which is a folder");
  if (is_there(path)) {
    if (!can(path, W_OK)) add(key + ": " + path + " cannot be written by this user");
    return;
  }
  const fs::path folder = fs::absolute(path).parent_path();
  const std::string why = is_there(folder) ? why_not_writable(folder)
                                           : "cannot be made, there is no " + folder.string();
  if (!why.empty()) add(key + ": " + path + " " + why);
}

void StartCheck::port(const std::string& key, const std::string& host, int port) {
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string where = host + ":" + std::to_string(port);
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) {
    return add(key + ": expected an address of this machine, got " + where);
  }
  const int made = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
  const int yes = 1;
  bool is_free = made >= 0;
  if (is_free) setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  is_free = is_free && bind(made, found->ai_addr, found->ai_addrlen) == 0 && listen(made, 1) == 0;
  if (!is_free) add(key + ": " + with_errno("cannot listen on " + where));
  if (made >= 0) ::close(made);
  freeaddrinfo(found);
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
  const std::string why = why_not_writable(nearest_folder(path));
  if (!why.empty()) add(key + ": " + path + " " + why);
}

void StartCheck::environment(const std::string& key, const std::string& name) {
  if (name.empty()) return;
  const char* value = std::getenv(name.c_str());
  if (!value || !*value) {
    add(key + ": expected the environment variable " + name + " to be set, it is not");
  }
}

void StartCheck::add(std::string problem) {
  if (std::find(problems_.begin(), problems_.end(), problem) != problems_.end()) return;
  problems_.push_back(std::move(problem));
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
