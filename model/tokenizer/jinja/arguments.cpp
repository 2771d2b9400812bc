#include "model/tokenizer/jinja/arguments.h"

#include <algorithm>

#include "base/error.h"

namespace weft::jinja {

Bound::Bound(std::string_view of, const Arguments& arguments,
             std::initializer_list<std::string_view> parameters, size_t required)
    : values_(parameters.size()), given_(parameters.size()) {
  const std::string name(of);
  if (arguments.positional.size() > parameters.size()) {
    throw InputError(name + ": expected at most " + std::to_string(parameters.size()) +
                     " arguments, got " + std::to_string(arguments.positional.size()));
  }
  std::copy(arguments.positional.begin(), arguments.positional.end(), values_.begin());
  std::fill_n(given_.begin(), arguments.positional.size(), true);
  for (const auto& [key, value] : arguments.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), key);
    if (found == parameters.end()) throw InputError(name + ": the argument " + key + " is unknown");
    const auto index = static_cast<size_t>(found - parameters.begin());
    if (given_[index]) throw InputError(name + ": the argument " + key + " is given twice");
    values_[index] = value;
    given_[index] = true;
  }
  for (size_t i = 0; i < required; ++i) {
    if (given_[i]) continue;
    std::string missing(parameters.begin()[i]);
    if (missing.starts_with('/')) missing.erase(0, 1);
    throw InputError(name + ": the argument " + missing + " is missing");
  }
}

}  // namespace weft::jinja
