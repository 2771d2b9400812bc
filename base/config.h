/// Configuration structs: one per component, declared beside it, defaults in place. A struct lists
/// its fields once,
///
///   struct LoraOptions {
///     int64_t rank = 16;
///     template <class V> void visit(V& v) { v("rank", rank, "rank of the update; memory grows with
///     it"); } void validate() const;  // optional; throws InputError
///   };
///
/// and that list reads it, writes it and documents it. Fields may be bool, int, int64_t, uint64_t,
/// double, std::string, Json, std::vector or std::optional of those, enums with an enum_table
/// function found by argument-dependent lookup, and further such structs. An int64_t is at most
/// 10^11; what holds memory, threads or processes has a bound of the machine's (base/machine.h).
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace weft {

/// Names of an enum's values, for use in configs:
///   inline EnumTable<Mode> enum_table(Mode) { return {{Mode::kFast, "fast"}, ...}; }
template <class E>
using EnumTable = std::vector<std::pair<E, const char*>>;

namespace config_detail {

struct AnyVisitor {
  template <class T>
  void operator()(const char*, T&, const char*) {}
};

template <class T>
concept Struct = requires(T t, AnyVisitor v) {
  t.visit(v);
};
template <class T>
concept Validated = requires(const T t) {
  t.validate();
};
template <class T>
concept Optional = requires {
  typename T::value_type;
}
&&std::same_as<T, std::optional<typename T::value_type>>;

/// A key that the object at `path` has not; load_config says which was likely meant.
struct UnknownKey {
  std::string path, key;
};
[[noreturn]] void throw_unknown_key(const UnknownKey& unknown,
                                    const std::vector<std::string>& all_paths);
[[noreturn]] void throw_value_error(const std::string& path, const std::string& expected,
                                    const Json& got);

/// No count, size or time in a config is larger: what is, is a slip. Seeds are uint64_t.
constexpr int64_t kMostOfAnything = 100'000'000'000;

template <class T>
void read_value(const Json& json, const std::string& path, T& out);

/// Reads the fields of one object and remembers their names.
class Reader {
 public:
  Reader(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
    if (!json_.is_object()) throw_value_error(path_, "an object", json_);
  }

  template <class T>
  void operator()(const char* key, T& value, const char*) {
    known_.push_back(key);
    const auto found = json_.find(key);
    if (found != json_.end()) read_value(*found, path_.empty() ? key : path_ + "." + key, value);
  }

  void check_no_unknown() const {
    for (const auto& [key, value] : json_.items()) {
      bool found = false;
      for (const auto& name : known_) found = found || name == key;
      if (!found) throw UnknownKey{path_, key};
    }
  }

 private:
  const Json& json_;
  std::string path_;
  std::vector<std::string> known_;
};

template <class T>
void read_struct(const Json& json, const std::string& path, T& out) {
  Reader reader(json, path);
  out.visit(reader);
  reader.check_no_unknown();
  if constexpr (Validated<T>) {
    try {
      out.validate();
    } catch (const InputError& error) {
      throw InputError(path.empty() ? error.what() : path + ": " + error.what());
    }
  }
}

template <class E>
void read_enum(const Json& json, const std::string& path, E& out) {
  std::string names;
  for (const auto& [value, name] : enum_table(E{})) {
    if (json.is_string() && json.get<std::string>() == name) {
      out = value;
      return;
    }
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw_value_error(path, "one of " + names, json);
}

template <class T>
void read_value(const Json& json, const std::string& path, T& out) {
  if constexpr (Struct<T>) {
    read_struct(json, path, out);
  } else if constexpr (Optional<T>) {
    if (json.is_null()) {
      out.reset();
    } else {
      read_value(json, path, out.emplace());
    }
  } else if constexpr (std::is_enum_v<T>) {
    read_enum(json, path, out);
  } else {
    if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      if (json.is_string()) {
        out = {json.get<std::string>()};
        return;
      }
    }
    if (!detail::JsonKind<T>::matches(json)) {
      throw_value_error(path, detail::JsonKind<T>::kName, json);
    }
    out = json.template get<T>();
    if constexpr (std::is_same_v<T, int64_t>) {
      if (out > kMostOfAnything) {
        throw_value_error(path, "at most " + std::to_string(kMostOfAnything), json);
      }
    }
  }
}

template <class T>
Json write_value(T& value);

struct Writer {
  Json json = Json::object();
  template <class T>
  void operator()(const char* key, T& value, const char*) {
    json[key] = write_value(value);
  }
};

template <class T>
Json write_value(T& value) {
  if constexpr (Struct<T>) {
    Writer writer;
    value.visit(writer);
    return writer.json;
  } else if constexpr (Optional<T>) {
    return value ? write_value(*value) : Json();
  } else if constexpr (std::is_enum_v<T>) {
    for (const auto& [candidate, name] : enum_table(T{})) {
      if (candidate == value) return name;
    }
    WEFT_ASSERT(!"an enum value is missing in its enum_table");
    return nullptr;
  } else {
    return value;
  }
}

/// Key paths of a config, "learn" and "learn.schedule.lr" among them.
struct PathLister {
  std::vector<std::string> paths;
  std::string prefix;

  template <class T>
  void operator()(const char* key, T& value, const char*) {
    paths.push_back(prefix + key);
    if constexpr (Struct<T>) {
      const std::string outer = std::exchange(prefix, paths.back() + ".");
      value.visit(*this);
      prefix = outer;
    }
  }
};

/// Lists "key  default  comment" lines, nested structs indented under their key.
struct Describer {
  std::string text;
  int depth = 0;
  void line(const char* key, const std::string& value, const char* comment);

  template <class T>
  void operator()(const char* key, T& value, const char* comment) {
    if constexpr (Struct<T>) {
      line(key, "", comment);
      ++depth;
      value.visit(*this);
      --depth;
    } else {
      line(key, dump_json(write_value(value)), comment);
    }
  }
};

}  // namespace config_detail

/// Fills a config from JSON; what the JSON leaves out keeps its default. Throws InputError with the
/// key path on unknown keys (with the one that was likely meant, at whatever place), wrong types
/// and failed validation. A vector of strings may be given as one string.
template <class T>
T load_config(const Json& json) {
  T config{};
  try {
    config_detail::read_struct(json, "", config);
  } catch (const config_detail::UnknownKey& unknown) {
    T any{};
    config_detail::PathLister lister;
    any.visit(lister);
    config_detail::throw_unknown_key(unknown, lister.paths);
  }
  return config;
}

/// The whole config with every default filled in.
template <class T>
Json config_to_json(const T& config) {
  T copy = config;
  return config_detail::write_value(copy);
}

/// Every key with default and comment, for --help.
template <class T>
std::string describe_config() {
  T config{};
  config_detail::Describer describer;
  config.visit(describer);
  return describer.text;
}

/// Sets "a.b.c=value" in a JSON object; the value is JSON, or else taken as a string. Throws
/// InputError when there is no '=' or a key on the way is no object.
void apply_override(Json& json, const std::string& assignment);

}  // namespace weft
