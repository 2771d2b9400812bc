/// tokenizer.json of Hugging Face `tokenizers`, model BPE.
#pragma once

#include <filesystem>
#include <memory>

#include "model/tokenizer/tokenizer.h"

namespace weft {

/// Throws InputError as Tokenizer::load.
std::unique_ptr<Tokenizer> load_json_tokenizer(const std::filesystem::path& file);

}  // namespace weft
