#include "model/checkpoint/safetensors.h"

#include <ATen/ops/from_blob.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "model/checkpoint/atomic_file.h"

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

namespace weft {

/// A whole file mapped read-only.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw InputError(with_errno(path + ": cannot be opened"));
    struct stat status {};
    const bool known = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    size_ = known ? status.st_size : 0;
    if (size_ > 0) data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (!known || data_ == MAP_FAILED) throw InputError(path + ": cannot be read");
  }
  ~MappedFile() {
    if (size_ > 0) munmap(data_, size_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return static_cast<const char*>(data_); }
  int64_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  int64_t size_ = 0;
};

namespace {

constexpr int64_t kMaxHeader = 100'000'000;

struct DtypeName {
  const char* name;
  at::ScalarType dtype;
};
constexpr DtypeName kDtypes[] = {{"F64", at::kDouble},    {"F32", at::kFloat}, {"F16", at::kHalf},
                                 {"BF16", at::kBFloat16}, {"I64", at::kLong},  {"I32", at::kInt},
                                 {"I16", at::kShort},     {"I8", at::kChar},   {"U8", at::kByte},
                                 {"BOOL", at::kBool}};

at::ScalarType parse_dtype(const std::string& name, const std::string& where) {
  for (const DtypeName& d : kDtypes) {
    if (name == d.name) return d.dtype;
  }
  throw InputError(where +
                   ": dtype: expected F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL, "
                   "got \"" +
                   name + "\"");
}

const char* dtype_name(at::ScalarType dtype) {
  for (const DtypeName& d : kDtypes) {
    if (dtype == d.dtype) return d.name;
  }
  throw Error(std::string("safetensors: no name for dtype ") + at::toString(dtype));
}

// Number of bytes; -1 on a negative dimension or overflow.
int64_t byte_size(const std::vector<int64_t>& shape, at::ScalarType dtype) {
  int64_t n = static_cast<int64_t>(c10::elementSize(dtype));
  for (int64_t d : shape) {
    if (d < 0 || __builtin_mul_overflow(n, d, &n)) return -1;
  }
  return n;
}

// The header's JSON. nlohmann keeps the last of two equal keys, so the callback refuses the second.
Json parse_header(std::string_view text, const std::string& path) {
  std::set<std::string> seen;
  try {
    return Json::parse(text, [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth == 1 && event == Json::parse_event_t::key &&
          !seen.insert(value.get<std::string>()).second) {
        throw InputError(path + ": tensor " + value.get<std::string>() + " appears twice");
      }
      return true;
    });
  } catch (const Json::exception& e) {
    throw InputError(path + ": header is not JSON: " + e.what());
  }
}

// Extents must cover the data without gap or overlap.
void check_extents(std::vector<std::pair<int64_t, int64_t>> extents, int64_t end,
                   const std::string& path) {
  std::sort(extents.begin(), extents.end());
  int64_t at = 0;
  for (const auto& [first, last] : extents) {
    if (first != at) {
      throw InputError(path + ": data_offsets: expected a tensor at byte " + std::to_string(at) +
                       ", got " + std::to_string(first));
    }
    at = last;
  }
  if (at != end) {
    throw InputError(path + ": expected " + std::to_string(at) + " bytes of data, got " +
                     std::to_string(end));
  }
}

}  // namespace

SafetensorsReader::SafetensorsReader(const std::string& path) {
  if (!path.ends_with(".index.json")) {
    read_shard(path);
    return;
  }
  const Json index = read_json_file(path);
  if (!index.contains("weight_map") || !index["weight_map"].is_object()) {
    throw InputError(path + ": weight_map: expected an object, got none");
  }
  std::set<std::string> shards;
  for (const auto& [name, file] : index["weight_map"].items()) {
    const bool plain = file.is_string() && file.get<std::string>().find('/') == std::string::npos;
    if (!plain) throw InputError(path + ": " + name + ": expected a file name");
    shards.insert(file.get<std::string>());
  }
  for (const std::string& shard : shards) {
    read_shard((fs::path(path).parent_path() / shard).string());
  }
  for (const auto& [name, file] : index["weight_map"].items()) {
    if (!contains(name)) {
      throw InputError(path + ": tensor " + name + " is not in " + file.get<std::string>());
    }
  }
}

SafetensorsReader SafetensorsReader::open_directory(const std::string& dir) {
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    const fs::path path = fs::path(dir) / name;
    if (fs::exists(path)) return SafetensorsReader(path.string());
  }
  throw InputError(dir +
                   ": expected model.safetensors or model.safetensors.index.json, got neither");
}

void SafetensorsReader::read_shard(const std::string& path) {
  read_header(path, std::make_shared<MappedFile>(path));
}

void SafetensorsReader::read_metadata(const Json& value, const std::string& path) {
  const std::string where = path + ": __metadata__";
  if (!value.is_object()) throw InputError(where + ": expected an object of strings");
  std::map<std::string, std::string> found;
  for (const auto& [key, text] : value.items()) {
    found[key] = get_field<std::string>(value, key.c_str(), where);
  }
  if (metadata_.empty()) metadata_ = std::move(found);
}

void SafetensorsReader::read_header(const std::string& path,
                                    const std::shared_ptr<MappedFile>& file) {
  uint64_t length = 0;
  if (file->size() < 8) throw InputError(path + ": truncated: expected a header, got no 8 bytes");
  std::memcpy(&length, file->data(), 8);
  if (length > kMaxHeader || static_cast<int64_t>(length) > file->size() - 8) {
    throw InputError(path + ": truncated: header of " + std::to_string(length) +
                     " bytes in a file of " + std::to_string(file->size()));
  }
  const Json header = parse_header({file->data() + 8, length}, path);
  if (!header.is_object()) throw InputError(path + ": header: expected an object");
  const int64_t start = 8 + static_cast<int64_t>(length);
  std::vector<std::pair<int64_t, int64_t>> extents;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      read_metadata(value, path);
      continue;
    }
    const std::string where = path + ": tensor " + name;
    const auto dtype = parse_dtype(get_field<std::string>(value, "dtype", where), where);
    const auto shape = get_field<std::vector<int64_t>>(value, "shape", where);
    const auto offsets = get_field<std::vector<int64_t>>(value, "data_offsets", where);
    const int64_t bytes = byte_size(shape, dtype);
    if (offsets.size() != 2 || offsets[0] < 0 || bytes < 0 || offsets[1] - offsets[0] != bytes) {
      throw InputError(where + ": data_offsets: expected " + std::to_string(bytes) +
                       " bytes for its dtype and shape");
    }
    if (offsets[1] > file->size() - start) {
      throw InputError(where + ": truncated: data ends at byte " +
                       std::to_string(start + offsets[1]) + ", the file at " +
                       std::to_string(file->size()));
    }
    extents.emplace_back(offsets[0], offsets[1]);
    if (!entries_.emplace(name, Entry{file, dtype, shape, start + offsets[0], bytes}).second) {
      throw InputError(where + " appears twice");
    }
  }
  check_extents(std::move(extents), file->size() - start, path);
}

std::vector<std::string> SafetensorsReader::names() const {
  std::vector<std::string> result;
  for (const auto& [name, entry] : entries_) result.push_back(name);
  return result;
}

at::Tensor SafetensorsReader::tensor(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) throw InputError("safetensors: there is no tensor " + name);
  const Entry& e = found->second;
  void* data = const_cast<char*>(e.file->data() + e.offset);
  return at::from_blob(
      data, e.shape, [file = e.file](void*) {}, at::TensorOptions(e.dtype));
}

void write_safetensors(const std::string& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const int64_t bytes = static_cast<int64_t>(tensor.nbytes());
    header[name] = {{"dtype", dtype_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(text.data(), text.size());
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor flat = tensor.detach().cpu().contiguous();
    file.write(flat.const_data_ptr(), flat.nbytes());
  }
  file.commit();
}

}  // namespace weft
