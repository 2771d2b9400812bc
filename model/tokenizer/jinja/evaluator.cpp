#include "model/tokenizer/jinja/evaluator.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/tokenizer/jinja/builtins.h"

namespace weft::jinja {
namespace {

constexpr int kMaxCallDepth = 100;
constexpr size_t kMaxOutput = size_t{1} << 28;

struct Scope {
  Dict variables;
  Scope* parent = nullptr;
};

enum class Flow { kNext, kBreak, kContinue };

class Evaluator {
 public:
  std::string run(const Block& block, const Dict& variables) {
    Scope globals{global_functions(), nullptr};
    for (const auto& [name, value] : variables) assign(globals.variables, name, value);
    std::string out;
    execute(block, globals, out);
    return out;
  }

 private:
  // Statements.
  Flow execute(const Block& block, Scope& scope, std::string& out) {
    for (const Statement& statement : block) {
      const Flow flow = execute(statement, scope, out);
      if (flow != Flow::kNext) return flow;
      if (out.size() > kMaxOutput) throw InputError("chat template: the text is too long");
    }
    return Flow::kNext;
  }

  Flow execute(const Statement& statement, Scope& scope, std::string& out) {
    switch (statement.kind) {
      case StatementKind::kText:
        out += statement.text;
        return Flow::kNext;
      case StatementKind::kOutput:
        out += to_text(evaluate(*statement.value, scope));
        return Flow::kNext;
      case StatementKind::kIf: {
        const bool holds = evaluate(*statement.value, scope).truthy();
        return execute(holds ? statement.body : statement.other, scope, out);
      }
      case StatementKind::kFor:
        return execute_for(statement, scope, out);
      case StatementKind::kSet:
        execute_set(statement, scope);
        return Flow::kNext;
      case StatementKind::kSetBlock: {
        std::string text;
        execute(statement.body, scope, text);
        assign(scope.variables, statement.names[0], text);
        return Flow::kNext;
      }
      case StatementKind::kMacro:
        assign(scope.variables, statement.text, make_macro(statement, scope));
        return Flow::kNext;
      case StatementKind::kBlock:
        return execute(statement.body, scope, out);
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kNext;
  }

  void execute_set(const Statement& statement, Scope& scope) {
    Value value = evaluate(*statement.value, scope);
    if (statement.names.size() == 1) {
      assign(scope.variables, statement.names[0], std::move(value));
    } else {
      assign(lookup(statement.names[0], scope).as_dict(), statement.names[1], std::move(value));
    }
  }

  static void bind_targets(const Statement& statement, const Value& item, Scope& scope) {
    if (statement.names.size() == 1) {
      assign(scope.variables, statement.names[0], item);
      return;
    }
    const List parts = items_of(item);
    if (parts.size() != statement.names.size()) {
      throw InputError("chat template, line " + std::to_string(statement.line) + ": expected " +
                       std::to_string(statement.names.size()) + " values to unpack, got " +
                       std::to_string(parts.size()));
    }
    for (size_t i = 0; i < parts.size(); ++i) assign(scope.variables, statement.names[i], parts[i]);
  }

  static Value loop_variable(const List& items, size_t index) {
    const size_t count = items.size();
    Dict loop = {{"index", index + 1},        {"index0", index},
                 {"revindex", count - index}, {"revindex0", count - index - 1},
                 {"first", index == 0},       {"last", index + 1 == count},
                 {"length", count},           {"depth", 1}};
    loop.emplace_back("previtem", index > 0 ? items[index - 1] : Value(Undefined{"previtem"}));
    loop.emplace_back("nextitem",
                      index + 1 < count ? items[index + 1] : Value(Undefined{"nextitem"}));
    return loop;
  }

  Flow execute_for(const Statement& statement, Scope& scope, std::string& out) {
    List items = items_of(evaluate(*statement.value, scope));
    if (statement.condition) {
      std::erase_if(items, [&](const Value& item) {
        Scope inner{{}, &scope};
        bind_targets(statement, item, inner);
        return !evaluate(*statement.condition, inner).truthy();
      });
    }
    if (items.empty()) return execute(statement.other, scope, out);
    for (size_t i = 0; i < items.size(); ++i) {
      Scope inner{{}, &scope};
      bind_targets(statement, items[i], inner);
      assign(inner.variables, "loop", loop_variable(items, i));
      if (execute(statement.body, inner, out) == Flow::kBreak) break;
    }
    return Flow::kNext;
  }

  Value make_macro(const Statement& statement, Scope& scope) {
    return Function([this, &statement, &scope](const Arguments& arguments) -> Value {
      Scope inner{{}, &scope};
      if (arguments.positional.size() > statement.names.size()) {
        throw InputError("chat template: too many arguments for macro " + statement.text);
      }
      for (size_t i = 0; i < statement.names.size(); ++i) {
        const std::string& name = statement.names[i];
        const Value* named = find(arguments.named, name);
        Value value = Undefined{name};
        if (i < arguments.positional.size()) {
          value = arguments.positional[i];
        } else if (named) {
          value = *named;
        } else if (statement.defaults[i]) {
          value = evaluate(*statement.defaults[i], inner);
        }
        assign(inner.variables, name, std::move(value));
      }
      if (++call_depth_ > kMaxCallDepth)
        throw InputError("chat template: macros nested too deeply");
      std::string text;
      execute(statement.body, inner, text);
      --call_depth_;
      return text;
    });
  }

  // Expressions.
  static Value lookup(const std::string& name, const Scope& scope) {
    for (const Scope* s = &scope; s; s = s->parent) {
      if (const Value* found = find(s->variables, name)) return *found;
    }
    return Undefined{name};
  }

  Value evaluate(const Expr& expr, Scope& scope) {
    const auto child = [&](size_t i) { return evaluate(*expr.children[i], scope); };
    switch (expr.kind) {
      case ExprKind::kLiteral:
        return expr.literal;
      case ExprKind::kName:
        return lookup(expr.text, scope);
      case ExprKind::kList: {
        List items;
        for (const ExprPtr& item : expr.children) items.push_back(evaluate(*item, scope));
        return items;
      }
      case ExprKind::kDict: {
        Dict dict;
        for (size_t i = 0; i < expr.children.size(); i += 2) {
          assign(dict, child(i).as_string(), child(i + 1));
        }
        return dict;
      }
      case ExprKind::kUnary:
        return evaluate_unary(expr, scope);
      case ExprKind::kBinary:
        return evaluate_binary(expr, scope);
      case ExprKind::kCompare:
        return evaluate_compare(expr, scope);
      case ExprKind::kConditional:
        if (child(1).truthy()) return child(0);
        return expr.children[2] ? child(2) : Value(Undefined{"else"});
      case ExprKind::kAttribute:
        return get_item(child(0), expr.text);
      case ExprKind::kIndex:
        return get_item(child(0), child(1));
      case ExprKind::kSlice:
        return evaluate_slice(expr, scope);
      case ExprKind::kCall:
        return evaluate_call(expr, scope);
      case ExprKind::kFilter:
        return apply_filter(expr.text, child(0), arguments_of(expr, scope));
      case ExprKind::kTest:
        return apply_test(expr.text, child(0), arguments_of(expr, scope));
    }
    return {};
  }

  Value evaluate_unary(const Expr& expr, Scope& scope) {
    const Value value = evaluate(*expr.children[0], scope);
    if (expr.text == "not") return !value.truthy();
    const int64_t sign = expr.text == "-" ? -1 : 1;
    return value.is_float() ? Value(static_cast<double>(sign) * value.as_float())
                            : Value(sign * value.as_int());
  }

  Value evaluate_binary(const Expr& expr, Scope& scope) {
    const Value left = evaluate(*expr.children[0], scope);
    if (expr.text == "and") return left.truthy() ? evaluate(*expr.children[1], scope) : left;
    if (expr.text == "or") return left.truthy() ? left : evaluate(*expr.children[1], scope);
    const Value right = evaluate(*expr.children[1], scope);
    if (expr.text == "~") return to_text(left) + to_text(right);
    if (expr.text == "+" && left.is_string()) return left.as_string() + right.as_string();
    if (expr.text == "+" && left.is_list()) {
      List both = left.as_list();
      both.insert(both.end(), right.as_list().begin(), right.as_list().end());
      return both;
    }
    if (expr.text == "*" && left.is_string()) return repeat(left.as_string(), right.as_int());
    return arithmetic(expr, left, right);
  }

  static Value repeat(const std::string& text, int64_t count) {
    if (count > 0 && text.size() * static_cast<size_t>(count) > kMaxOutput) {
      throw InputError("chat template: the text is too long");
    }
    std::string out;
    for (int64_t i = 0; i < count; ++i) out += text;
    return out;
  }

  static Value arithmetic(const Expr& expr, const Value& left, const Value& right) {
    const char op = expr.text[0];
    const bool whole = expr.text == "//";
    if ((op == '/' || op == '%') && right.as_float() == 0) {
      throw InputError("chat template, line " + std::to_string(expr.line) + ": division by zero");
    }
    const bool real = left.is_float() || right.is_float() || (op == '/' && !whole);
    if (real) {
      const double a = left.as_float(), b = right.as_float();
      if (op == '+') return a + b;
      if (op == '-') return a - b;
      if (op == '*') return a * b;
      if (op == '/') return whole ? std::floor(a / b) : a / b;
      return a - b * std::floor(a / b);
    }
    const int64_t a = left.as_int(), b = right.as_int();
    if (op == '+') return a + b;
    if (op == '-') return a - b;
    if (op == '*') return a * b;
    const int64_t quotient = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
    return op == '/' ? quotient : a - quotient * b;
  }

  Value evaluate_compare(const Expr& expr, Scope& scope) {
    Value left = evaluate(*expr.children[0], scope);
    for (size_t i = 0; i < expr.operators.size(); ++i) {
      Value right = evaluate(*expr.children[i + 1], scope);
      if (!holds(expr.operators[i], left, right)) return false;
      left = std::move(right);
    }
    return true;
  }

  static bool holds(const std::string& op, const Value& left, const Value& right) {
    if (op == "==") return equal(left, right);
    if (op == "!=") return !equal(left, right);
    if (op == "in") return contains(right, left);
    if (op == "not in") return !contains(right, left);
    if (op == "<") return less(left, right);
    if (op == ">") return less(right, left);
    if (op == "<=") return !less(right, left);
    return !less(left, right);
  }

  Value evaluate_slice(const Expr& expr, Scope& scope) {
    const Value value = evaluate(*expr.children[0], scope);
    const List items = items_of(value);
    const auto size = static_cast<int64_t>(items.size());
    const auto bound = [&](size_t i, int64_t fallback) {
      return expr.children[i] ? evaluate(*expr.children[i], scope).as_int() : fallback;
    };
    const int64_t step = bound(3, 1);
    if (step == 0) throw InputError("chat template: a slice of step zero");
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const auto clamp = [&](size_t i, int64_t fallback) {
      if (!expr.children[i]) return fallback;
      const int64_t at = bound(i, 0);
      return std::clamp(at < 0 ? at + size : at, low, high);
    };
    const int64_t begin = clamp(1, step > 0 ? low : high);
    const int64_t end = clamp(2, step > 0 ? high : low);
    List picked;
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
      picked.push_back(items[static_cast<size_t>(i)]);
    }
    return value.is_string() ? apply_filter("join", picked, {}) : Value(picked);
  }

  Arguments arguments_of(const Expr& expr, Scope& scope) {
    Arguments arguments;
    for (size_t i = 1; i < expr.children.size(); ++i) {
      arguments.positional.push_back(evaluate(*expr.children[i], scope));
    }
    for (const auto& [name, value] : expr.named) {
      arguments.named.emplace_back(name, evaluate(*value, scope));
    }
    return arguments;
  }

  Value evaluate_call(const Expr& expr, Scope& scope) {
    const Expr& callee = *expr.children[0];
    if (callee.kind != ExprKind::kAttribute) {
      const Value function = evaluate(callee, scope);
      return function.as_function()(arguments_of(expr, scope));
    }
    const Value object = evaluate(*callee.children[0], scope);
    const Arguments arguments = arguments_of(expr, scope);
    const Value* member = object.is_dict() ? find(object.as_dict(), callee.text) : nullptr;
    if (!has_method(object, callee.text) && member) return member->as_function()(arguments);
    return call_method(object, callee.text, arguments);
  }

  int call_depth_ = 0;
};

}  // namespace

std::string render(const Block& block, const Dict& variables) {
  return Evaluator().run(block, variables);
}

}  // namespace weft::jinja
