/// Trains the meta-agent by reinforcement on the outcomes of its workflows. See grpo_run.h.
#include "base/log.h"
#include "base/program.h"
#include "trainer/learn/grpo/train_grpo_program.h"

int main(int argc, char** argv) {
  const weft::ProgramSpec spec = {
      "train_grpo",
      "Group relative policy optimisation with rewards from the sandbox.",
      {{"--model", "model", "Hugging Face directory, base of the policy"}},
      true};
  return weft::run_program<weft::GrpoConfig>(
      argc, argv, spec, [](const weft::GrpoConfig& config, const weft::ProgramArgs& args) {
        const auto state = weft::run_train_grpo(config, args.resume, args.config,
                                                weft::resolve_device(config.device));
        weft::log::info(
            "{} steps, {} tokens decoded, {} by the worker, {} trained; model in {}/final",
            state.step, state.decoded_tokens, state.worker_tokens, state.trained_tokens,
            config.out);
      });
}
