/// Reader and writer of the safetensors format (8-byte little-endian header length, JSON header,
/// raw row-major data). Source: github.com/huggingface/safetensors, README, "Format".
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace weft {

class MappedFile;

/// One file, or all shards that a `*.safetensors.index.json` names. Data stays in the file
/// (mmap, read-only) until a tensor is used. Thread-safe after construction.
class SafetensorsReader {
 public:
  /// `path` is a .safetensors file or an index. The whole header is checked here: length, JSON,
  /// dtype x shape == extent, extents inside the file and disjoint, no name twice, every indexed
  /// name in its shard. Throws InputError with file and reason.
  explicit SafetensorsReader(const std::string& path);

  /// `model.safetensors` or `model.safetensors.index.json` of a directory; InputError if neither.
  static SafetensorsReader open_directory(const std::string& dir);

  bool contains(const std::string& name) const { return entries_.count(name) > 0; }
  std::vector<std::string> names() const;

  /// A view of the file's bytes in the stored dtype. Never write to it; copy it to change it. The
  /// mapping lives as long as any tensor on it. Throws InputError if there is no such name.
  at::Tensor tensor(const std::string& name) const;

  /// The `__metadata__` of the file (of the first shard for an index).
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  struct Entry {
    std::shared_ptr<MappedFile> file;
    at::ScalarType dtype;
    std::vector<int64_t> shape;
    int64_t offset;  // of the first byte in the file
    int64_t num_bytes;
  };
  void read_shard(const std::string& path);
  void read_header(const std::string& path, const std::shared_ptr<MappedFile>& file);
  void read_metadata(const Json& value, const std::string& path);

  std::map<std::string, Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// Writes CPU or device tensors (f32, f16, bf16, i64, i32) under `path` by way of a temporary file
/// beside it, fsync and rename, so that no partial file ever carries the final name. Throws Error
/// when the disk is full or not writable.
void write_safetensors(const std::string& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace weft
