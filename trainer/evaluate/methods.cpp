#include "trainer/evaluate/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"

namespace weft {

namespace {

constexpr const char* kForms =
    "io, io_greedy, cot, cot_greedy, cot_sc, workflow:FILE, meta:DIR, hybrid:STORE,DIR, "
    "shuffled:NAME or samples:FILE, each with an optional NAME= before it";

[[noreturn]] void throw_bad_method(const std::string& text) {
  throw InputError(fmt::format("methods: expected {}, got \"{}\"", kForms, text));
}

bool is_baseline(const std::string& spec) {
  return spec == "io" || spec == "io_greedy" || spec == "cot" || spec == "cot_greedy" ||
         spec == "cot_sc";
}

/// Splits "NAME=SPEC"; an '=' behind a ':' belongs to a path.
std::pair<std::string, std::string> split_name(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || text.find(':') < equals) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::string last_part(const std::string& path) {
  const fs::path clean = fs::path(path).lexically_normal();
  return clean.has_filename() ? clean.filename().string() : clean.parent_path().filename().string();
}

std::string default_name(const Method& method, const std::string& head) {
  if (head == "workflow") return fs::path(method.source).stem().string();
  if (head == "samples") {
    const fs::path name = fs::path(method.source).filename();
    return (name.extension() == ".gz" ? name.stem() : name).stem().string();
  }
  if (head == "meta") return last_part(method.source);
  if (head == "shuffled") return "shuffled_" + method.source;
  return head;
}

}  // namespace

const char* to_string(MethodKind kind) {
  switch (kind) {
    case MethodKind::kFixed:
      return "fixed";
    case MethodKind::kMeta:
      return "meta";
    case MethodKind::kHybrid:
      return "hybrid";
    case MethodKind::kShuffled:
      return "shuffled";
    case MethodKind::kSamples:
      return "samples";
  }
  return "";
}

Method parse_method(const std::string& text) {
  Method method;
  std::tie(method.name, method.spec) = split_name(text);
  const size_t colon = method.spec.find(':');
  const std::string head = method.spec.substr(0, colon);
  if (colon == std::string::npos) {
    if (!is_baseline(head)) throw_bad_method(text);
  } else {
    method.source = method.spec.substr(colon + 1);
    if (head == "meta") {
      method.kind = MethodKind::kMeta;
    } else if (head == "shuffled") {
      method.kind = MethodKind::kShuffled;
    } else if (head == "samples") {
      method.kind = MethodKind::kSamples;
    } else if (head == "hybrid") {
      const size_t comma = method.source.find(',');
      if (comma == std::string::npos || comma == 0) throw_bad_method(text);
      method.kind = MethodKind::kHybrid;
      method.store = method.source.substr(0, comma);
      method.source.erase(0, comma + 1);
    } else if (head != "workflow") {
      throw_bad_method(text);
    }
    if (method.source.empty()) throw_bad_method(text);
  }
  if (method.name.empty()) method.name = default_name(method, head);
  if (method.name.empty()) throw_bad_method(text);
  return method;
}

std::vector<Method> parse_methods(const std::vector<std::string>& texts) {
  if (texts.empty()) throw InputError(fmt::format("methods: expected at least one of {}", kForms));
  std::vector<Method> methods;
  const auto find = [&methods](const std::string& name) {
    return std::find_if(methods.begin(), methods.end(),
                        [&](const Method& method) { return method.name == name; });
  };
  for (const std::string& text : texts) {
    Method method = parse_method(text);
    if (find(method.name) != methods.end()) {
      throw InputError(fmt::format("methods: the name \"{}\" comes twice; write NAME={}",
                                   method.name, method.spec));
    }
    methods.push_back(std::move(method));
  }
  for (const Method& method : methods) {
    if (method.kind != MethodKind::kShuffled) continue;
    const auto source = find(method.source);
    if (source == methods.end() ||
        (source->kind != MethodKind::kMeta && source->kind != MethodKind::kHybrid)) {
      throw InputError(fmt::format(
          "methods: shuffled:{0} expected a meta or hybrid method named \"{0}\"", method.source));
    }
  }
  return methods;
}

std::vector<size_t> derangement(size_t n, uint64_t seed) {
  if (n < 2) throw InputError(fmt::format("shuffled: expected at least two tasks, got {}", n));
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  Rng rng(seed, /*stream=*/0x73687566);
  for (size_t i = n - 1; i > 0; --i) std::swap(order[i], order[rng.below(i)]);
  return order;
}

}  // namespace weft
