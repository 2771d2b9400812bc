/// What a paired comparison says beside the interval of its difference: a test, an effect size and
/// the least difference that so many tasks could have shown. The unit is the task, as in
/// statistics.h.
#pragma once

#include <cstdint>
#include <span>

#include "base/json.h"
#include "trainer/evaluate/statistics.h"

namespace weft {

/// Tasks that only one of two methods solved.
struct Discordance {
  int64_t only_a = 0;
  int64_t only_b = 0;
};

/// Two-sided p of McNemar's test of equal shares, exact: twice the binomial tail with chance 1/2 of
/// the smaller count, at most 1. It is conservative.
/// Source: McNemar, Psychometrika 12 (1947); Fagerland, Lydersen and Laake, BMC Med. Res. Methodol.
/// 13:91 (2013), "exact conditional test".
double mcnemar_exact_p(Discordance counts);

/// Cohen's g, the share of the discordant tasks that a solved, less 1/2; in [-1/2, 1/2], NaN
/// without any. Source: Cohen 1988, Statistical Power Analysis, chapter 5.
double cohens_g(Discordance counts);

/// Cohen's d_z: mean over standard deviation (n - 1) of the differences; NaN where they are fewer
/// than two or all equal. Source: Cohen 1988, section 2.3.5; Lakens, Front. Psychol. 4:863 (2013).
double cohens_dz(std::span<const double> differences);

/// Least difference of two shares that n paired tasks show with 80 % power at a two-sided level of
/// 5 %, where a share `discordance` of them differs: d of
///
///   sqrt(n) d = z_.975 sqrt(psi) + z_.8 sqrt(psi - d^2),   psi = max(discordance, d)
///
/// since a difference takes at least as many differing tasks. NaN where no difference would do.
/// Source: Connor, Biometrics 43, 207 (1987). That psi grows with d is our own addition.
double detectable_share_difference(int64_t n, double discordance);

/// The same of means whose differences have this standard deviation: (z_.975 + z_.8) sd / sqrt(n).
/// NaN where n < 2 or sd is 0, which says nothing of other tasks. For few tasks it is a little too
/// small, as it takes the deviation for known.
/// Source: Miller, arXiv:2411.00640, section 5.
double detectable_mean_difference(int64_t n, double sd);

/// Two methods' scores of the same tasks in [0, 1], one each, NaN where missing: {"n", "diff",
/// "ci95", "ci_method", "ci_note"?, "reading", "mcnemar"?: {"only_a", "only_b", "p"}, "effect":
/// {"cohens_g", "odds_ratio"} or {"cohens_dz"}, "detectable", "power"}; diff = mean(a - b).
/// McNemar's test, g and the odds ratio only_a / only_b are those of scores that are all 0 or 1.
/// "power" has "detectable" in words. Throws as estimate_difference does.
Json compare_scores(std::span<const double> a, std::span<const double> b,
                    const BootstrapOptions& bootstrap);

}  // namespace weft
