/// Fine-tunes the meta-agent on stored workflows. See sft.h.
#include "base/log.h"
#include "base/program.h"
#include "trainer/learn/sft/train_sft_program.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {"train_sft",
                                  "Supervised fine-tuning on a trajectory store or JSON lines.",
                                  {{"--model", "model", "Hugging Face directory to start from"}},
                                  true};
  return weft::run_program<weft::SftConfig>(
      argc, argv, spec, [](const weft::SftConfig& config, const weft::ProgramArgs& args) {
        const auto summary = weft::run_train_sft(config, args.resume, args.config,
                                                 weft::resolve_device(config.device));
        weft::log::info("{} steps, {} tokens ({} trained), last loss {:.4f}; model in {}/final",
                        summary.steps, summary.tokens, summary.trained_tokens, summary.last_loss,
                        config.out);
      });
}
