/// What to do where the kernel or a container refuses a jail.
#pragma once

#include <string>

namespace weft {

/// One line for people, from the step that failed, its errno and what /proc says of this process.
std::string remedy_for(const std::string& step, int error);

}  // namespace weft
