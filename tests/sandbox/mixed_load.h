/// Honest programs among attacks, on two slots.
#pragma once

#include <cstddef>

namespace weft::test {

/// Runs `num_jobs` jobs, a third of them attacks, and expects that honest verdicts are those of a
/// quiet run, no attack passes, nothing is an infrastructure error, and that after `num_warm` of
/// them processes, descriptors and memory stay as they are.
void expect_steady_mixed_load(size_t num_warm, size_t num_jobs);

}  // namespace weft::test
