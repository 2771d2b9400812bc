/// The program `generate`: JSON lines of prompts in, completions out. Fields: docs/formats.md.
#pragma once

#include <string>

#include "base/jsonl.h"
#include "base/start_check.h"
#include "model/engine/engine.h"

namespace weft {

struct GenerateOptions {
  std::string model;    ///< Hugging Face directory
  std::string in;       ///< JSON lines, "-" for standard input
  std::string out;      ///< JSON lines, "-" for standard output
  std::string adapter;  ///< PEFT directory; empty: the base model
  std::string device = "auto";
  std::string dtype = "auto";
  int64_t threads = 0;  ///< CPU threads, 0: all cores
  uint64_t seed = 0;    ///< of rows without one; row i gets seed + i
  EngineOptions engine;

  template <class V>
  void visit(V& v) {
    v("model", model, "Hugging Face directory");
    v("in", in, "JSON lines, - for standard input");
    v("out", out, "JSON lines, - for standard output");
    v("adapter", adapter, "PEFT directory, empty: the base model");
    v("device", device, "auto, cpu or cuda[:N]");
    v("dtype", dtype, "auto, f32, bf16 or int8 (rounded weights, faster)");
    v("threads", threads, "CPU threads, 0: all cores");
    v("seed", seed, "seed of rows without one; row i gets seed + i");
    v("engine", engine, "batching and cache");
  }
  void validate() const;
  void check_start(StartCheck& check) const;
};

/// Answers every row of `in` in input order to options.out, which is opened once all of `in` is
/// read. A bad or failed row is logged with its line number and passed over; returns how many there
/// were.
int64_t generate_rows(Engine& engine, JsonlReader& in, const GenerateOptions& options);

/// Loads the model and runs generate_rows on the files of `options`. Throws Error if a row was bad.
void run_generate(const GenerateOptions& options);

}  // namespace weft
