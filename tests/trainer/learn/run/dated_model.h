/// A model whose prompts are of a day.
#pragma once

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace weft::test {

/// Copies a model with a chat template in tokenizer_config.json; the copy's asks for the date and
/// leaves the text as it is. Returns the copy's path.
inline std::string copy_with_a_date(const std::filesystem::path& model,
                                    const std::filesystem::path& copy) {
  std::filesystem::copy(model, copy, std::filesystem::copy_options::recursive);
  Json config = read_json_file(copy / "tokenizer_config.json");
  config["chat_template"] =
      "{% set today = strftime_now('%d') %}" + config.at("chat_template").get<std::string>();
  write_file_atomically(copy / "tokenizer_config.json", dump_json(config));
  return copy.string();
}

}  // namespace weft::test
