/// The tests that give final scores, apart from Task so that no path from search or training can
/// reach them. Only trainer/evaluate includes this header; a test of the source tree checks it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

/// Task id -> hidden tests, from the same file as load_tasks reads. Code tasks only. Throws
/// InputError naming a code task whose hidden tests cannot be passed (require_scorable).
std::map<std::string, std::vector<Json>> load_hidden_tests(const std::filesystem::path& path);

}  // namespace weft
