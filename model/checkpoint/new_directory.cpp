#include "model/checkpoint/new_directory.h"

#include <cstdlib>

#include "base/error.h"

namespace weft {

NewDirectory::NewDirectory(const fs::path& path) : path_(fs::absolute(path).lexically_normal()) {
  if (!path_.has_filename()) path_ = path_.parent_path();
  if (fs::exists(path_)) throw Error(path_.string() + " exists already");
  std::error_code error;
  fs::create_directories(path_.parent_path(), error);
  std::string name = path_.string() + ".tmp-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    throw Error(with_errno("cannot create a directory beside " + path_.string()));
  }
  temporary_ = name;
  fs::permissions(temporary_, fs::perms(0755), error);
}

NewDirectory::~NewDirectory() {
  std::error_code error;
  if (!temporary_.empty()) fs::remove_all(temporary_, error);
}

void NewDirectory::publish() {
  publish_directory(temporary_, path_);
  temporary_.clear();
}

}  // namespace weft
