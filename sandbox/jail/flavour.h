/// Which warm Python suits a candidate. A wrong guess costs time, never correctness.
#pragma once

#include <initializer_list>
#include <string_view>

namespace weft {

enum class Flavour {
  kMin,    ///< a handful of small modules
  kStd,    ///< the usual standard library, and the sandbox's own helpers
  kNumpy,  ///< kStd and numpy
};
constexpr int kNumFlavours = 3;

/// Modules that a zygote of that flavour has imported, separated by commas.
const char* modules_of(Flavour flavour);

/// From the lines of the sources that look like imports. Without `has_numpy` never kNumpy.
Flavour flavour_for(std::initializer_list<std::string_view> sources, bool has_numpy);

}  // namespace weft
