/// One rendering at work: statements and expressions of a template.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "model/tokenizer/jinja/ast.h"
#include "model/tokenizer/jinja/context.h"
#include "model/tokenizer/jinja/scope.h"

namespace weft::jinja {

/// +, -, *, /, //, % and ** of any two values. Throws InputError where Python raises TypeError.
Value binary(Context& context, std::string_view op, const Value& left, const Value& right);

/// ==, !=, <, >, <=, >=, in and not in.
bool compare(Context& context, std::string_view op, const Value& left, const Value& right);

using ScopePtr = std::shared_ptr<Scope>;

/// Expressions. The scopes are the statements' work.
class ExpressionEvaluator {
 public:
  explicit ExpressionEvaluator(Context& context) : context_(context) {}

  Value evaluate(const Expr& expr, const Scope& scope);
  Arguments arguments_of(const Expr& expr, const Scope& scope);
  Value call(const Expr& expr, const Scope& scope, Arguments arguments);

 protected:
  Context& context_;

 private:
  Value evaluate_container(const Expr& expr, const Scope& scope);
  Value evaluate_operation(const Expr& expr, const Scope& scope);
  Value evaluate_member(const Expr& expr, const Scope& scope);
  Value evaluate_compare(const Expr& expr, const Scope& scope);
  Value evaluate_concat(const Expr& expr, const Scope& scope);
  Value lookup(const std::string& name, const Scope& scope) const;
};

}  // namespace weft::jinja
