#include "base/unfinished_file.h"

#include "base/error.h"
#include "base/file.h"

namespace weft {
namespace {

bool is_written_in_place(const fs::path& path) {
  std::error_code ignored;
  return path == "-" || (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored));
}

}  // namespace

UnfinishedFile::UnfinishedFile(const fs::path& path) : path_(path), part_(path) {
  if (is_written_in_place(path)) return;
  std::error_code error;
  const fs::path real = fs::weakly_canonical(path, error);
  if (!error) path_ = real;
  part_ = path_.string() + ".part";
}

UnfinishedFile::~UnfinishedFile() {
  std::error_code ignored;
  if (part_ != path_ && fs::is_empty(part_, ignored)) fs::remove(part_, ignored);
}

void UnfinishedFile::publish() {
  if (part_ == path_) return;
  sync_path(part_);
  std::error_code error;
  fs::rename(part_, path_, error);
  if (error) {
    throw Error("cannot rename " + part_.string() + " to " + path_.string() + ": " +
                error.message());
  }
  sync_path(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

}  // namespace weft
