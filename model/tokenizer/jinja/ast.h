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
  kDict,         ///< children: key, value, key, value, ...
  kUnary,        ///< text is "not", "-" or "+"
  kBinary,       ///< text is the operator, "and" and "or" included
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
  int line = 1;
  std::string text;
  Value literal;
  std::vector<ExprPtr> children;
  std::vector<std::pair<std::string, ExprPtr>> named;
  std::vector<std::string> operators;
};

struct Statement;
using Block = std::vector<Statement>;

enum class StatementKind {
  kText,      ///< text
  kOutput,    ///< value
  kIf,        ///< value ? body : other
  kFor,       ///< names in value if condition: body, else other
  kSet,       ///< names[0] or names[0].names[1] = value
  kSetBlock,  ///< names[0] = the text of body
  kMacro,     ///< text is the name, names the parameters, defaults theirs (may be null)
  kBlock,     ///< body, as it is
  kBreak,
  kContinue,
};

struct Statement {
  StatementKind kind = StatementKind::kText;
  int line = 1;
  std::string text;
  std::vector<std::string> names;
  std::vector<ExprPtr> defaults;
  ExprPtr value;
  ExprPtr condition;
  Block body;
  Block other;
};

}  // namespace weft::jinja
