/// Syntax tree of a template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

enum class ExprKind {
  kLiteral,      ///< literal
  kName,         ///< text
  kList,         ///< children
  kTuple,        ///< children
  kDict,         ///< children: key, value, key, value, ...
  kUnary,        ///< text is "not", "-" or "+"
  kBinary,       ///< text is the operator, "and" and "or" included
  kConcat,       ///< the texts of the children, "~" in the source
  kCompare,      ///< children compared in a row by operators ("in" and "not in" among them)
  kConditional,  ///< children: value, condition, other value (may be null)
  kAttribute,    ///< children[0].text
  kIndex,        ///< children[0][children[1]]
  kSlice,        ///< children: value, begin, end, step; the last three may be null
  kCall,         ///< children[0] called with the other children and `named`
  kFilter,       ///< children[0] | text(other children, named)
  kTest,         ///< children[0] is text(other children)
};

struct Expr {
  ExprKind kind = ExprKind::kLiteral;
  int depth = 1;  ///< of the tree; at most kMaxExprDepth
  std::string text;
  Value literal;
  std::vector<ExprPtr> children;
  std::vector<std::pair<std::string, ExprPtr>> named;
  std::vector<std::string> operators;
};

inline constexpr int kMaxExprDepth = 300;

/// The name of the text that a filter of a block is applied to.
inline constexpr const char* kCapturedText = " text";

struct Statement;
using Block = std::vector<Statement>;

enum class StatementKind {
  kText,      ///< text
  kOutput,    ///< value
  kIf,        ///< the first of `branches` that holds, else other
  kFor,       ///< names in value if condition: body, else other
  kSet,       ///< names = value, or names[0].text = value
  kSetBlock,  ///< the same with the text of body as value; `value`, if any, filters it
  kMacro,     ///< text is the name, names the parameters, defaults theirs (may be null)
  kCall,      ///< value, a call, with body as its macro `caller`; names and defaults as of a macro
  kFilter,    ///< value, which filters the text of body
  kWith,      ///< body with names = defaults
  kScope,     ///< body, with variables of its own
  kBreak,
  kContinue,
};

struct Branch;

struct Statement {
  StatementKind kind = StatementKind::kText;
  int line = 1;
  std::string text;
  std::vector<std::string> names;
  bool unpacks = false;  ///< the targets of kFor and kSet are a tuple
  std::vector<ExprPtr> defaults;
  ExprPtr value;
  ExprPtr condition;
  std::vector<Branch> branches;
  Block body;
  Block other;
  bool takes_varargs = false, takes_kwargs = false, takes_caller = false;  ///< of kMacro, kCall
};

struct Branch {
  ExprPtr condition;
  Block body;
};

}  // namespace weft::jinja
