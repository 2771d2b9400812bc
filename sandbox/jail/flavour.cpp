#include "sandbox/jail/flavour.h"

#include <algorithm>
#include <string>

namespace weft {
namespace {

constexpr std::string_view kMinModules =
    "math,random,collections,itertools,functools,operator,heapq,bisect";
constexpr std::string_view kBuiltinModules = "sys,time,builtins,errno,gc,_thread";
constexpr const char* kStdModules =
    "math,cmath,re,string,collections,itertools,functools,operator,heapq,bisect,random,typing,copy,"
    "datetime,json,enum,dataclasses,threading,ast,fractions,decimal";
// numpy 2 loads its generator at first use, too late to be seeded.
constexpr const char* kNumpyModules = ",numpy,numpy.random";
constexpr const char* kSympyModules = ",sympy";

bool is_listed(std::string_view list, std::string_view name) {
  return (',' + std::string(list) + ',').find(',' + std::string(name) + ',') != std::string::npos;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r;");
  return first == std::string_view::npos ? std::string_view{} : text.substr(first);
}

// "numpy" of "numpy.linalg as la, os".
std::string_view first_name(std::string_view text) {
  text = trimmed(text);
  return text.substr(0, text.find_first_of(" \t\r.,;("));
}

class ImportScan {
 public:
  explicit ImportScan(const Packages& packages) : packages_(packages) {}

  void take_line(std::string_view line) {
    line = trimmed(line);
    if (line.starts_with("from ")) return take(first_name(line.substr(5)));
    if (!line.starts_with("import ")) return;
    for (line.remove_prefix(7); !line.empty();) {
      take(first_name(line));
      const size_t comma = line.find(',');
      if (comma == std::string_view::npos) return;
      line.remove_prefix(comma + 1);
    }
  }

  Flavour flavour() const { return flavour_; }

 private:
  void take(std::string_view name) {
    if (name == "numpy" && packages_.numpy) flavour_ = std::max(flavour_, Flavour::kNumpy);
    if (name == "sympy" && packages_.sympy) flavour_ = Flavour::kSympy;
    if (flavour_ == Flavour::kMin && !is_listed(kMinModules, name) &&
        !is_listed(kBuiltinModules, name)) {
      flavour_ = Flavour::kStd;
    }
  }

  const Packages packages_;
  Flavour flavour_ = Flavour::kMin;
};

}  // namespace

const char* modules_of(Flavour flavour) {
  static const std::string numpy = std::string(kStdModules) + kNumpyModules;
  static const std::string sympy = std::string(kStdModules) + kSympyModules;
  switch (flavour) {
    case Flavour::kMin:
      return kMinModules.data();
    case Flavour::kStd:
      return kStdModules;
    case Flavour::kNumpy:
      return numpy.c_str();
    case Flavour::kSympy:
      return sympy.c_str();
  }
  return kStdModules;
}

Flavour flavour_for(std::initializer_list<std::string_view> sources, const Packages& packages) {
  ImportScan scan(packages);
  for (const std::string_view source : sources) {
    for (size_t start = 0; start < source.size();) {
      const size_t end = std::min(source.find('\n', start), source.size());
      scan.take_line(source.substr(start, end - start));
      start = end + 1;
    }
  }
  return scan.flavour();
}

}  // namespace weft
