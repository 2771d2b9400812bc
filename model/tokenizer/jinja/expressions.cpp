#include <algorithm>

#include "base/error.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/jinja/evaluation.h"
#include "model/tokenizer/jinja/number.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {
namespace {

Value repeated(Context& context, const Value& value, Int count) {
  count = std::clamp(count, Int{0}, Int{1} << 40);
  if (value.is_string()) {
    const std::string& text = value.as_string();
    const Int bytes = count * static_cast<Int>(text.size());
    context.text(static_cast<size_t>(std::min(bytes, Int{1} << 62)));
    std::string out;
    out.reserve(static_cast<size_t>(bytes));
    for (Int i = 0; i < count && bytes > 0; ++i) out += text;
    return out;
  }
  const Items& items = value.as_sequence().items;
  const Int size = count * static_cast<Int>(items.size());
  context.step(static_cast<size_t>(std::min(size, Int{1} << 62)));
  Items all;
  for (Int i = 0; i < count && size > 0; ++i) all.insert(all.end(), items.begin(), items.end());
  return Value::sequence(value.as_sequence().kind, std::move(all));
}

bool repeats(const Value& value) {
  return value.is_string() || value.is_list() || value.is_tuple();
}

bool is_view(const Value& value) {
  return value.is_sequence() && !value.is_indexed() && !value.is_iterator();
}

}  // namespace

Value binary(Context& context, std::string_view op, const Value& left, const Value& right) {
  if (op == "+" && left.is_string() && right.is_string()) {
    context.text(left.as_string().size() + right.as_string().size());
    return left.as_string() + right.as_string();
  }
  if (op == "+" && ((left.is_list() && right.is_list()) || (left.is_tuple() && right.is_tuple()))) {
    const Items &x = left.as_sequence().items, &y = right.as_sequence().items;
    context.step(x.size() + y.size());
    Items both = x;
    both.insert(both.end(), y.begin(), y.end());
    return Value::sequence(left.as_sequence().kind, std::move(both));
  }
  if (op == "*" && repeats(left) && right.is_integral()) {
    return repeated(context, left, right.as_int());
  }
  if (op == "*" && repeats(right) && left.is_integral()) {
    return repeated(context, right, left.as_int());
  }
  if (op == "%" && left.is_string()) return percent_text(context, left.as_string(), right);
  if (is_view(left) || is_view(right)) {
    throw InputError("the operator " + std::string(op) + " between " + left.type_name() + " and " +
                     right.type_name() + " is not known here");
  }
  return arithmetic(op, left, right);
}

bool compare(Context& context, std::string_view op, const Value& left, const Value& right) {
  if (op == "==") return equal(context, left, right);
  if (op == "!=") return !equal(context, left, right);
  if (op == "in") return contains(context, right, left);
  if (op == "not in") return !contains(context, right, left);
  if (op == "<" || op == "<=") return less(context, left, right, op == "<=");
  return less(context, right, left, op == ">=");
}

Value ExpressionEvaluator::lookup(const std::string& name, const Scope& scope) const {
  bool ended = false;
  const Value* found = scope.find(name, ended);
  if (ended) throw InputError("the variable " + name + " is of a block that has ended");
  if (found) return *found;
  const auto function = global_functions().find(name);
  return function == global_functions().end() ? Value::undefined(name) : function->second;
}

Value ExpressionEvaluator::evaluate(const Expr& expr, const Scope& scope) {
  const Context::Level level(context_);
  context_.step();
  switch (expr.kind) {
    case ExprKind::kLiteral:
      return expr.literal;
    case ExprKind::kName:
      return lookup(expr.text, scope);
    case ExprKind::kList:
    case ExprKind::kTuple:
    case ExprKind::kDict:
      return evaluate_container(expr, scope);
    case ExprKind::kUnary:
    case ExprKind::kBinary:
    case ExprKind::kConditional:
      return evaluate_operation(expr, scope);
    case ExprKind::kConcat:
      return evaluate_concat(expr, scope);
    case ExprKind::kCompare:
      return evaluate_compare(expr, scope);
    case ExprKind::kAttribute:
    case ExprKind::kIndex:
    case ExprKind::kSlice:
      return evaluate_member(expr, scope);
    case ExprKind::kCall:
      return call(expr, scope, arguments_of(expr, scope));
    case ExprKind::kFilter:
      return apply_filter(context_, expr.text, evaluate(*expr.children[0], scope),
                          arguments_of(expr, scope));
    case ExprKind::kTest:
      return apply_test(context_, expr.text, evaluate(*expr.children[0], scope),
                        arguments_of(expr, scope));
  }
  return {};
}

Value ExpressionEvaluator::evaluate_container(const Expr& expr, const Scope& scope) {
  if (expr.kind == ExprKind::kDict) {
    Mapping mapping;
    for (size_t i = 0; i < expr.children.size(); i += 2) {
      const Value key = evaluate(*expr.children[i], scope);
      mapping.set(context_, key, evaluate(*expr.children[i + 1], scope));
    }
    return mapping;
  }
  Items items;
  for (const ExprPtr& item : expr.children) items.push_back(evaluate(*item, scope));
  const auto kind = expr.kind == ExprKind::kList ? SequenceKind::kList : SequenceKind::kTuple;
  return Value::sequence(kind, std::move(items));
}

Value ExpressionEvaluator::evaluate_operation(const Expr& expr, const Scope& scope) {
  const auto child = [&](size_t i) { return evaluate(*expr.children[i], scope); };
  if (expr.kind == ExprKind::kConditional) {
    if (child(1).truthy()) return child(0);
    return expr.children[2] ? child(2) : Value::undefined("else");
  }
  const Value left = child(0);
  const std::string& op = expr.text;
  if (op == "and") return left.truthy() ? child(1) : left;
  if (op == "or") return left.truthy() ? left : child(1);
  if (op == "not") return !left.truthy();
  if (expr.kind == ExprKind::kBinary) return binary(context_, op, left, child(1));
  if (op == "-") return negated(left);
  if (left.is_float()) return left;
  if (!left.is_number()) wrong_type("a number", left);
  return left.as_int();
}

Value ExpressionEvaluator::evaluate_concat(const Expr& expr, const Scope& scope) {
  std::string out;
  for (const ExprPtr& part : expr.children) {
    const Value value = evaluate(*part, scope);
    if (value.is_markup()) throw InputError("\"~\" with text marked as safe is not known here");
    out += to_text(context_, value);
  }
  return out;
}

Value ExpressionEvaluator::evaluate_compare(const Expr& expr, const Scope& scope) {
  Value left = evaluate(*expr.children[0], scope);
  for (size_t i = 0; i < expr.operators.size(); ++i) {
    Value right = evaluate(*expr.children[i + 1], scope);
    if (!compare(context_, expr.operators[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value ExpressionEvaluator::evaluate_member(const Expr& expr, const Scope& scope) {
  const auto child = [&](size_t i) {
    return expr.children[i] ? evaluate(*expr.children[i], scope) : Value(None{});
  };
  const Value value = child(0);
  if (expr.kind == ExprKind::kAttribute) return get_attribute(context_, value, expr.text);
  if (expr.kind == ExprKind::kIndex) return get_item(context_, value, child(1));
  const Value begin = child(1), end = child(2);
  return get_slice(context_, value, begin, end, child(3));
}

Arguments ExpressionEvaluator::arguments_of(const Expr& expr, const Scope& scope) {
  Arguments arguments;
  for (size_t i = 1; i < expr.children.size(); ++i) {
    arguments.positional.push_back(evaluate(*expr.children[i], scope));
  }
  for (const auto& [name, value] : expr.named) {
    const auto same = [&name = name](const auto& other) { return other.first == name; };
    if (std::any_of(arguments.named.begin(), arguments.named.end(), same)) {
      throw InputError("the argument " + name + " is given twice");
    }
    arguments.named.emplace_back(name, evaluate(*value, scope));
  }
  return arguments;
}

Value ExpressionEvaluator::call(const Expr& expr, const Scope& scope, Arguments arguments) {
  const Expr& callee = *expr.children[0];
  if (callee.kind != ExprKind::kAttribute) {
    return evaluate(callee, scope).as_object()->call(context_, arguments);
  }
  const Value object = evaluate(*callee.children[0], scope);
  if (!object.is_object() && !object.is_markup() && has_attribute(object, callee.text)) {
    return call_method(context_, object, callee.text, arguments);
  }
  return get_attribute(context_, object, callee.text).as_object()->call(context_, arguments);
}

}  // namespace weft::jinja
