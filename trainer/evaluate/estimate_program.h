/// The program `estimate`: means, paired differences and their intervals for JSON lines, so that
/// whoever pools runs computes them as the reports do.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/jsonl.h"
#include "base/start_check.h"
#include "trainer/evaluate/statistics.h"

namespace weft {

struct EstimateOptions {
  std::string in;
  std::string out;
  BootstrapOptions bootstrap;
  int64_t threads = 0;  ///< most CPU threads, 0: all cores; it works on one

  template <class V>
  void visit(V& v) {
    v("in", in, "JSON lines, - for standard input");
    v("out", out, "answers, - for standard output");
    v("bootstrap", bootstrap, "the intervals");
    v("threads", threads, "most CPU threads, 0: all cores; it works on one");
  }
  void validate() const;  ///< throws InputError
  void check_start(StartCheck& check) const {
    check.file("in", in);
    check.output_file("out", out);
  }
};

/// One answer to {"id", "values", "minus"?, "minus_strongest"?, "bounds"?, "meta"?}.
/// "values" has an item for each task: a number, null, or an array of them that belong together.
///
/// {"id","n","mean","ci95","ci_method","ci_note"?}; with "minus" (of the same shape) these are of
/// the difference, and "reading" is beside them; with "minus_strongest" ([{"name","values"}..]) of
/// the difference to the strongest of these (trainer/evaluate/headlines.h), "against" and "among"
/// beside them. "bounds" are [low, high] of single values, [0, 1] by default, or null for none.
/// Throws InputError, opening with `where`, when a field is missing, unknown or of another type.
Json estimate_row(const Json& row, const BootstrapOptions& options, const std::string& where);

/// All rows in order. Bad ones are logged with their number and passed over; returns how many.
int64_t estimate_rows(JsonlReader& in, JsonlWriter& out, const BootstrapOptions& options);

}  // namespace weft
