/// What a config refuses of its counts and sizes.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <type_traits>
#include <vector>

#include "base/config.h"
#include "tests/support/input_error.h"

namespace weft::test {

/// Key paths of all fields of type int and int64_t.
class SizeFields {
 public:
  std::vector<std::string> paths;

  template <class T>
  void operator()(const char* key, T& value, const char*) {
    if constexpr (config_detail::Struct<T>) {
      const std::string outer = prefix_;
      prefix_ += std::string(key) + ".";
      value.visit(*this);
      prefix_ = outer;
    } else if constexpr (std::is_same_v<T, int> || std::is_same_v<T, int64_t>) {
      paths.push_back(prefix_ + key);
    }
  }

 private:
  std::string prefix_;
};

/// What `valid` is told with that key changed.
template <class Config>
std::string refusal(Json valid, const std::string& key, int64_t value) {
  apply_override(valid, key + "=" + std::to_string(value));
  return input_error([&] { load_config<Config>(valid); });
}

inline void expect_refused_by_name(const std::string& message, const std::string& key) {
  EXPECT_NE(message.find(key.substr(key.rfind('.') + 1)), std::string::npos)
      << key << ": " << message;
  EXPECT_NE(message.find("expected"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

/// `valid` is a config that is taken. Each of its counts and sizes is refused at 10^12, and those
/// of `held`, for which the machine has to have room, at 10^9 already, in one line that names it.
template <class Config>
void expect_bounded_sizes(const Json& valid, const std::vector<std::string>& held) {
  Config config{};
  SizeFields fields;
  config.visit(fields);
  EXPECT_FALSE(fields.paths.empty());
  ASSERT_EQ(input_error([&] { load_config<Config>(valid); }), "no error");
  for (const std::string& key : fields.paths) {
    expect_refused_by_name(refusal<Config>(valid, key, 1'000'000'000'000), key);
  }
  for (const std::string& key : held) {
    const std::string message = refusal<Config>(valid, key, 1'000'000'000);
    expect_refused_by_name(message, key);
    EXPECT_NE(message.find("machine"), std::string::npos) << message;
  }
}

}  // namespace weft::test
