/// An evaluation that did no work is a failed one, whatever its reports say.
#pragma once

#include <vector>

#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/results.h"

namespace weft {

/// Throws Error with the counted reasons of each method that was not evaluated: whose every run is
/// missing, or ended without one answer of the model that it asked (each call refused or timed
/// out). Where no run of any method gave an answer that could be scored, all methods are named.
///
/// A method whose workflows were written and are invalid or fail has a score, 0, as long as another
/// one shows that answers can be scored: a line in the log counts the reasons.
void require_scored_rows(const std::vector<Method>& methods, const std::vector<ResultRow>& rows);

}  // namespace weft
