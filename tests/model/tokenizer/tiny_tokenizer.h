/// A byte-level tokenizer of a few hundred tokens, written to a file by the tests that need one.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/support/support.h"

namespace weft::test {

/// tokenizer.json with the 256 byte tokens (ids 0 to 255 in byte order), one token for each merge
/// ("a b": ids from 256 on), then `added`, each an object without its id.
Json tiny_tokenizer_json(const std::vector<std::string>& merges,
                         const std::vector<Json>& added = {});

/// Writes it into `dir` and loads it.
std::unique_ptr<Tokenizer> load_tokenizer(const TempDir& dir, const Json& json);

}  // namespace weft::test
