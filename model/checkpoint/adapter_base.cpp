#include "model/checkpoint/adapter_base.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/run_inputs.h"

namespace weft {

std::string weights_fingerprint(const fs::path& base) {
  std::vector<fs::path> files;
  std::error_code unreadable;  // whoever opens the model says what is wrong with its folder
  for (const auto& entry : fs::directory_iterator(base, unreadable)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry);
  }
  std::sort(files.begin(), files.end());
  uint64_t hash = 0;
  for (const fs::path& file : files) hash = hash_combine(hash, hash_file(file, /*sampled=*/true));
  return hex64(hash);
}

void write_adapter_base(const fs::path& adapter, const std::string& base,
                        const std::string& fingerprint) {
  write_file_atomically(
      adapter / kAdapterBaseFile,
      dump_json_pretty(
          {{"source", fs::absolute(base).lexically_normal().string()}, {"weights", fingerprint}}));
}

void require_same_base(const fs::path& adapter, const fs::path& base) {
  const fs::path file = adapter / kAdapterBaseFile;
  if (!fs::exists(file)) return;
  const Json trained = read_json_file(file);
  const auto expected = get_field<std::string>(trained, "weights", file);
  const std::string got = weights_fingerprint(base);
  if (got == expected) return;
  throw InputError(adapter.string() + " was trained over other weights than those in " +
                   base.string() + ": expected " + expected + ", those of " +
                   get_field<std::string>(trained, "source", file) + ", got " + got + "; without " +
                   file.string() + " it is taken all the same");
}

}  // namespace weft
