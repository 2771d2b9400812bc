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
/// function found by argument-dependent lookup, and further such structs.
#pragma once

#include <concepts>
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

[[noreturn]] void throw_unknown_key(const std::string& path, const std::string& key,
                                    const std::vector<std::string>& known);
[[noreturn]] void throw_value_error(const std::string& path, const std::string& expected,
                                    const Json& got);

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
      if (!found) throw_unknown_key(path_, key, known_);
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
    if (!detail::JsonKind<T>::matches(json)) {
      throw_value_error(path, detail::JsonKind<T>::kName, json);
    }
    out = json.template get<T>();
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
/// key path on unknown keys (with the nearest known one), wrong types and failed validation.
template <class T>
T load_config(const Json& json) {
  T config{};
  config_detail::read_struct(json, "", config);
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
