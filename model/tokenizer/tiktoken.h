/// Vocabularies in tiktoken's form: a line "BASE64 RANK" for each token, no merges.
#pragma once

#include <filesystem>
#include <memory>

#include "model/tokenizer/tokenizer.h"

namespace weft {

/// Whether the file's first line has that form; a sentencepiece model's has not.
bool is_tiktoken_file(const std::filesystem::path& file);

/// Ids are ranks; of two neighbours whose bytes together are a token, those of the lowest rank are
/// merged first, the leftmost of equals. The file does not say which expression cuts the text: it
/// is told from the number of ranks, for GPT-2, cl100k, Llama-3, o200k and Qwen (which also
/// normalises to NFC). Added tokens come from `added_tokens_decoder` of a tokenizer_config.json
/// beside the file, BOS is put first if its `add_bos_token` (default false) says so. Throws
/// InputError for a broken line, a rank that is missing or given twice, a missing byte and any
/// other number of ranks.
std::unique_ptr<Tokenizer> load_tiktoken(const std::filesystem::path& file);

}  // namespace weft
