/// BayesFlow (arXiv:2601.22305) on real workflows: the SmcModel whose prior is a StepGenerator and
/// whose reward is an Evaluator. Deviations are listed in smc.h.
#pragma once

#include "trainer/search/methods.h"

namespace weft {

class BayesflowSearch : public SearchMethod, private SmcModel<StepPrefix, Sampled> {
 public:
  BayesflowSearch(const SmcOptions& options, Evaluator& evaluator);
  bool finished() const override;
  RoundReport run_round() override;
  Json state() const override;
  void restore(const Json& state) override;

 private:
  struct Open {
    std::vector<StepPrefix> prefixes;
    std::vector<size_t> places;
  };

  Open open(const std::vector<StepPrefix>& prefixes, size_t count) const;
  std::vector<StepPrefix> extend(const std::vector<StepPrefix>& prefixes, int64_t round) override;
  std::vector<std::vector<Scored<Sampled>>> complete(const std::vector<StepPrefix>& prefixes,
                                                     int64_t num_completions,
                                                     int64_t round) override;
  std::vector<Candidate> written(const std::vector<StepPrefix>& repeated, int64_t round);
  std::optional<Scored<Sampled>> refine(const Scored<Sampled>& parent, int64_t round,
                                        int64_t index) override;
  StepPrefix project(const Sampled& item, int64_t num_steps) const override;

  SmcOptions options_;
  Evaluator& evaluator_;
  SmcState<StepPrefix> state_;
  int64_t granted_ = 0;          ///< completions of this round that the budget allows
  std::vector<NextStep> steps_;  ///< of this round, as far as they were asked for
};

}  // namespace weft
