#include "base/program.h"
#include "model/tokenizer/tokenize_program.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec{
      "tokenize",
      "Turns JSON lines {\"text\"} into {\"ids\"}, or back.",
      {{"--model", "model", "model folder, tokenizer.json or sentencepiece .model"},
       {"--decode", "decode", "read {\"ids\"}, write {\"text\"}"},
       {"--no-special", "no_special", "add no special tokens, or skip them"}}};
  return weft::run_program<weft::TokenizeOptions>(
      argc, argv, spec, [](const weft::TokenizeOptions& options, const weft::ProgramArgs&) {
        const auto tokenizer = weft::Tokenizer::load(options.model);
        weft::JsonlReader in("-");
        weft::JsonlWriter out("-");
        const int64_t num_bad = weft::tokenize_rows(*tokenizer, in, out, options);
        if (num_bad > 0) throw weft::Error(std::to_string(num_bad) + " lines could not be read");
      });
}
