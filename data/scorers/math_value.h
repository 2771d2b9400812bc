/// Answers of mathematics as values: numbers, texts, and lists, tuples, intervals and matrices of
/// them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// What an answer's last \boxed{ or \fbox{ says.
struct Boxed {
  enum class Kind {
    kNone,      ///< there is no box
    kCut,       ///< the last one is not closed: the answer was cut off in it
    kComplete,  ///< `content` is what its braces hold, counted, \{ and \} left out
  };
  Kind kind = Kind::kNone;
  std::string content;
};
Boxed last_boxed(std::string_view text);

/// A value as a tree. Leaves are LaTeX without spaces, units and commands that only look.
struct MathValue {
  enum class Kind {
    kLeaf,
    kList,    ///< the order counts nothing: "1, 2", "1 or 2", \{1, 2\}, 1 \pm 2
    kUnion,   ///< of intervals
    kTuple,   ///< (1, 2), [1, 2), with its brackets
    kMatrix,  ///< rows
  };
  Kind kind = Kind::kLeaf;
  std::string leaf;
  char open = 0, close = 0;  ///< of a tuple
  std::vector<MathValue> parts;
};

/// Whether two expressions are equal, which only a computer algebra system can tell.
struct SymbolicQuestion {
  enum class Style {
    kValues,  ///< compare_values with formulas as SymPy sees them
    kAflow,   ///< two leaves, as AFlow's code hands them to SymPy
  };
  MathValue prediction, gold;
  Style style = Style::kValues;
};

/// LaTeX as a value: x = 5 and x \in ... by their right side, units and degrees dropped, \text
/// taken as text. Texts of more than kMaxMathValueBytes are one leaf.
MathValue parse_math_value(std::string_view latex);
constexpr size_t kMaxMathValueBytes = 2000;

enum class Equality { kEqual, kUnequal, kUnknown };

/// Numbers: commas of thousands, fractions, mixed numbers, a power of ten as a factor; a percentage
/// is its number or a hundredth of it. Integers are compared digit by digit, other numbers with the
/// relative 1e-12 that double arithmetic needs; a gold of d decimals equals what rounds to it from
/// more decimals, or from a fraction. Texts of letters alone are compared without case and spaces.
/// Lists are equal in any order, tuples with their brackets, matrices element by element. Unknown
/// is what holds a formula that is not the same text.
Equality compare_values(const MathValue& prediction, const MathValue& gold);

/// A text as Hendrycks et al.'s script (arXiv:2103.03874, math_equivalence) normalises it; none
/// where the script fails.
std::optional<std::string> hendrycks_form(std::string_view latex);

/// Whether that script calls the two equal.
bool hendrycks_equal(std::string_view a, std::string_view b);

/// The last number of a text, with its sign, fraction and percent sign.
std::optional<std::string> last_number(std::string_view text);

/// Whether two texts are one and the same number, as compare_values says of numbers.
bool same_number(std::string_view prediction, std::string_view gold);

}  // namespace weft
