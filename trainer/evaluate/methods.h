/// What is compared: how a method gets the workflow that answers a query.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

enum class MethodKind {
  kFixed,     ///< one workflow for every query of a kind: a baseline or workflow:FILE
  kMeta,      ///< written for the query by a meta-agent: meta:DIR
  kHybrid,    ///< from the pool where a stored query is near enough, else by the meta-agent
  kShuffled,  ///< control: what another method wrote for another query
  kSamples    ///< no workflow: answers that a file holds, samples:FILE
};

/// "fixed", "meta", "hybrid", "shuffled", "samples".
const char* to_string(MethodKind kind);

struct Method {
  std::string name;  ///< shown and used as key; unique in a run
  MethodKind kind = MethodKind::kFixed;
  std::string spec;    ///< the text without its NAME=
  std::string source;  ///< file, checkpoint folder, or the name of the shuffled method
  std::string store;   ///< hybrid: trajectory store whose best workflows make the pool
};

/// `[NAME=]SPEC` with SPEC one of io, io_greedy, cot, cot_greedy, cot_sc, workflow:FILE, meta:DIR,
/// hybrid:STORE,DIR and shuffled:NAME. Without NAME it is named after the spec: the file's stem,
/// the folder's last part, "hybrid", "shuffled_NAME". Throws InputError.
Method parse_method(const std::string& text);

/// All of them; throws InputError also when a name comes twice, when shuffled:NAME names no meta or
/// hybrid method of the list, and when the list is empty.
std::vector<Method> parse_methods(const std::vector<std::string>& texts);

/// A random cyclic permutation of 0..n-1 (Sattolo's algorithm): no element stays where it is.
/// Throws InputError when n < 2.
std::vector<size_t> derangement(size_t n, uint64_t seed);

}  // namespace weft
