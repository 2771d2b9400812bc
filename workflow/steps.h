/// Cutting a workflow into the steps of BayesFlow (arXiv:2601.22305 §3): s = s_1 ... s_T, where a
/// step is the block that opens with a comment "# Step n:". A comment is one to Python too: the
/// same text within a string literal or an open bracket opens no step.
#pragma once

#include <string>
#include <vector>

namespace weft {

/// The text cut before each line that opens with "# Step n:", except the first: element 0 holds
/// the class header together with step 1, element t-1 holds step t, so that a prefix of t elements
/// is s_{1:t} and the empty vector is W_0. Concatenated they give `code` back, byte for byte. Text
/// without a step comment is one element; empty text is none.
std::vector<std::string> split_steps(const std::string& code);

/// Concatenation; the inverse of split_steps.
std::string join_steps(const std::vector<std::string>& steps);

/// The numbers n of the lines "# Step n:", in order.
std::vector<int> step_numbers(const std::string& code);

/// What the first of them says behind its colon; empty when there is none.
std::string first_step_title(const std::string& code);

/// Rewrites the numbers to 1, 2, 3, ... in order, and nothing else.
std::string renumber_steps(const std::string& code);

}  // namespace weft
