/// The `model` of a tokenizer.json.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "model/tokenizer/bpe.h"
#include "model/tokenizer/token_table.h"

namespace weft {

/// Adds the vocabulary to `table` and builds the merges over it; both encodings of merges ("a b"
/// and ["a", "b"]) are read. Throws InputError for another model than BPE, for dropout and subword
/// affixes, and for a merge of unknown tokens.
///
/// Takes nlohmann::json: the vocabulary has 50,000 to 260,000 keys, and weft::Json finds a key in
/// linear time.
std::unique_ptr<Bpe> read_bpe_model(const nlohmann::json& model, bool byte_symbols,
                                    TokenTable& table, const std::string& where);

}  // namespace weft
