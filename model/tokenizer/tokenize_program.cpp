#include "model/tokenizer/tokenize_program.h"

#include "base/known_fields.h"
#include "base/log.h"
#include "base/stop.h"

namespace weft {

Json tokenize_row(const Tokenizer& tokenizer, const Json& row, const TokenizeOptions& options,
                  const std::string& where) {
  refuse_unknown_fields(row, {options.decode ? "ids" : "text"}, where);
  if (!options.decode) {
    const auto text = get_field<std::string>(row, "text", where);
    return {{"ids", tokenizer.encode_to_length(text, !options.no_special)}};
  }
  std::vector<int32_t> ids;
  for (const int64_t id : get_field<std::vector<int64_t>>(row, "ids", where)) {
    const bool known = id >= 0 && id < tokenizer.vocab_size();
    ids.push_back(known ? static_cast<int32_t>(id) : -1);
  }
  return {{"text", tokenizer.decode(ids, options.no_special)}};
}

int64_t tokenize_rows(const Tokenizer& tokenizer, JsonlReader& in, JsonlWriter& out,
                      const TokenizeOptions& options) {
  int64_t num_bad = 0;
  for (JsonlLine line; in.next(line);) {
    throw_if_stopped();
    try {
      if (!line.error.empty()) throw InputError(line.error);
      out.write(tokenize_row(tokenizer, line.value, options, in.where(line)));
    } catch (const InputError& error) {
      log::error("{}", error.what());
      ++num_bad;
    }
  }
  return num_bad;
}

}  // namespace weft
