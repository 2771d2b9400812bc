/// Which warm Python suits a candidate. A wrong guess costs time, never correctness.
#pragma once

#include <initializer_list>
#include <string_view>

namespace weft {

enum class Flavour {
  kMin,    ///< a handful of small modules
  kStd,    ///< the usual standard library, and the sandbox's own helpers
  kNumpy,  ///< kStd and numpy
  kSympy,  ///< kStd, SymPy, and what compares answers of mathematics by it
};
constexpr int kNumFlavours = 4;

/// What the folder of packages holds.
struct Packages {
  bool numpy = false;
  bool sympy = false;
};

/// Modules that a zygote of that flavour has imported, separated by commas.
const char* modules_of(Flavour flavour);

/// From the lines of the sources that look like imports; never one whose package is not there.
Flavour flavour_for(std::initializer_list<std::string_view> sources, const Packages& packages);

}  // namespace weft
