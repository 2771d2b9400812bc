/// The program `tokenize`: JSON lines through a tokenizer.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/jsonl.h"
#include "base/machine.h"
#include "base/start_check.h"
#include "model/tokenizer/tokenizer.h"

namespace weft {

struct TokenizeOptions {
  std::string model;        ///< folder, tokenizer.json or FILE.model
  bool decode = false;      ///< {"ids"} to {"text"} instead of {"text"} to {"ids"}
  bool no_special = false;  ///< add no special tokens; with decode, skip them
  int64_t threads = 0;      ///< most CPU threads, 0: all cores; it works on one

  template <class V>
  void visit(V& v) {
    v("model", model, "model folder, tokenizer.json or sentencepiece .model");
    v("decode", decode, "ids to text");
    v("no_special", no_special, "add no special tokens, or skip them");
    v("threads", threads, "most CPU threads, 0: all cores; it works on one");
  }
  void validate() const {
    if (model.empty()) throw InputError("model: expected a folder or file, got nothing");
    require_threads("threads", threads);
  }
  void check_start(StartCheck& check) const {
    check.without_error([this] { Tokenizer::load(model); });
  }
};

/// One answer. Throws InputError, opening with `where`, when a field is missing, unknown or of
/// another type.
Json tokenize_row(const Tokenizer& tokenizer, const Json& row, const TokenizeOptions& options,
                  const std::string& where);

/// All rows in order. Bad ones are logged with their number and passed over; returns how many.
int64_t tokenize_rows(const Tokenizer& tokenizer, JsonlReader& in, JsonlWriter& out,
                      const TokenizeOptions& options);

}  // namespace weft
