#include "base/program.h"
#include "model/engine/generate_program.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec{
      "generate",
      "Completes the prompts of a JSON lines file, or gives the logprobs of ids after them.",
      {{"--model", "model", "Hugging Face directory"},
       {"--in", "in", "JSON lines, - for standard input"},
       {"--adapter", "adapter", "PEFT directory"}}};
  return weft::run_program<weft::GenerateOptions>(
      argc, argv, spec, [](const weft::GenerateOptions& options, const weft::ProgramArgs&) {
        weft::run_generate(options);
      });
}
