#include "base/run_inputs.h"

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

namespace weft {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kWholeBelow = 64 * kMiB, kEdge = kMiB, kNumSamples = 256, kSample = 64 << 10;

/// Hash of `size` bytes at `offset`, a MiB at a time.
uint64_t hash_range(std::ifstream& in, const fs::path& path, uint64_t offset, uint64_t size,
                    uint64_t hash) {
  in.seekg(static_cast<std::streamoff>(offset));
  std::string chunk;
  for (uint64_t done = 0; done < size; done += chunk.size()) {
    chunk.resize(std::min(kMiB, size - done));
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    if (!in) throw InputError(path.string() + ": cannot be read");
    hash = hash_combine(hash, hash64(chunk));
  }
  return hash;
}

bool has_suffix(const std::string& name, const std::vector<const char*>& suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(),
                     [&](const char* suffix) { return name.ends_with(suffix); });
}

bool is_weights(const std::string& name) {
  return has_suffix(name, {".safetensors", ".bin", ".pt", ".pth", ".gguf"});
}

/// Files that hold nothing which a result depends on.
bool is_ignored(const std::string& name) {
  return name.starts_with(".") || name.starts_with("LICENSE") || has_suffix(name, {".md", ".png"});
}

bool is_tokenizer(const std::string& name) {
  return name.starts_with("tokenizer") || name.starts_with("special_tokens") ||
         name.starts_with("vocab.") || name == "added_tokens.json" || name == "merges.txt" ||
         has_suffix(name, {".tiktoken"});
}

}  // namespace

uint64_t hash_file(const fs::path& path, bool sampled) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in || !fs::is_regular_file(path)) {
    throw InputError(path.string() + ": expected a file, found none that can be read");
  }
  const auto size = static_cast<uint64_t>(in.tellg());
  uint64_t hash = hash_combine(0, size);
  if (!sampled || size <= kWholeBelow) return hash_range(in, path, 0, size, hash);
  hash = hash_range(in, path, 0, kEdge, hash);
  hash = hash_range(in, path, size - kEdge, kEdge, hash);
  for (uint64_t i = 0; i < kNumSamples; ++i) {
    hash = hash_range(in, path, size / kNumSamples * i, kSample, hash);
  }
  return hash;
}

void RunInputs::put(const std::string& name, uint64_t hash, const std::string& source) {
  inputs_[name] = {hash, source};
}

RunInputs& RunInputs::files(const std::string& name, const std::vector<std::string>& paths) {
  uint64_t hash = 0;
  std::string source;
  for (const std::string& path : paths) {
    if (path.empty() || path == "-") continue;
    hash = hash_combine(hash, hash_file(path));
    source += (source.empty() ? "" : ", ") + path;
  }
  if (!source.empty()) put(name, hash, source);
  return *this;
}

RunInputs& RunInputs::content(const std::string& name, uint64_t hash, const std::string& source) {
  put(name, hash, source);
  return *this;
}

RunInputs& RunInputs::model(const std::string& name, const fs::path& dir) {
  if (dir.empty()) return *this;
  std::error_code error;
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    if (entry.is_regular_file() && !is_ignored(entry.path().filename())) paths.push_back(entry);
  }
  if (error) return *this;  // whoever opens the model says what is wrong with its folder
  std::sort(paths.begin(), paths.end());
  uint64_t weights = 0, tokenizer = 0, chat_template = 0;
  for (const fs::path& path : paths) {
    const std::string file = path.filename();
    const uint64_t named = hash64(file);
    if (file == "tokenizer_config.json") {
      Json config = read_json_file(path);
      const Json form = config.is_object() ? config.value("chat_template", Json()) : Json();
      if (!form.is_null()) chat_template = hash_combine(chat_template, hash64(dump_json(form)));
      if (config.is_object()) config.erase("chat_template");
      tokenizer = hash_combine(tokenizer, hash64(dump_json(config)));
    } else if (file.starts_with("chat_template")) {
      chat_template = hash_combine(chat_template, hash_file(path));
    } else if (is_tokenizer(file)) {
      tokenizer = hash_combine(hash_combine(tokenizer, named), hash_file(path));
    } else {
      weights = hash_combine(hash_combine(weights, named), hash_file(path, is_weights(file)));
    }
  }
  const std::string prefix = name == "model" ? "" : name + ".";
  put(name, weights, dir.string());
  if (tokenizer != 0) put(prefix + "tokenizer", tokenizer, dir.string());
  if (chat_template != 0) put(prefix + "chat_template", chat_template, dir.string());
  return *this;
}

Json RunInputs::to_json() const {
  Json all = Json::object();
  for (const auto& [name, input] : inputs_) {
    all[name] = {{"hash", hex64(input.hash)}, {"source", input.source}};
  }
  return all;
}

}  // namespace weft
