#include "model/tokenizer/jinja/evaluator.h"

#include <algorithm>

#include "base/error.h"
#include "model/tokenizer/jinja/evaluation.h"
#include "model/tokenizer/jinja/objects.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {
namespace {

// The scope of a block that is not a macro, until the block is left.
class BlockScope {
 public:
  explicit BlockScope(const ScopePtr& parent) : scope_(std::make_shared<Scope>(parent)) {}
  ~BlockScope() { scope_->ended = true; }
  BlockScope(const BlockScope&) = delete;
  BlockScope& operator=(const BlockScope&) = delete;

  const ScopePtr& get() const { return scope_; }
  Value& operator[](const std::string& name) { return scope_->variables[name]; }

 private:
  ScopePtr scope_;
};

enum class Flow { kNext, kBreak, kContinue };

class Evaluator;

// The block where it was defined lives as long as the macro.
struct Macro : Object {
  Macro(Evaluator& by, const Statement& statement, ScopePtr around)
      : evaluator(by), code(statement), scope(std::move(around)) {}
  const char* type_name() const override { return "macro"; }
  Value attribute(Context& context, const std::string& name) override;
  Value call(Context& context, const Arguments& arguments) override;

  Evaluator& evaluator;
  const Statement& code;
  ScopePtr scope;
};

[[noreturn]] void refuse_count(size_t expected, size_t got) {
  throw InputError("expected " + std::to_string(expected) + " values to unpack, got " +
                   std::to_string(got));
}

class Evaluator : public ExpressionEvaluator {
 public:
  using ExpressionEvaluator::ExpressionEvaluator;

  std::string run(const Block& block, const Mapping& variables) {
    const auto scope = std::make_shared<Scope>();
    for (const auto& [name, value] : variables.entries()) {
      scope->variables[name.as_string()] = value;
    }
    std::string out;
    execute(block, scope, out);
    return out;
  }

  // What jinja2's Macro.__call__ does.
  Value call_macro(const Macro& macro, Arguments arguments) {
    const Statement& code = macro.code;
    const auto scope = std::make_shared<Scope>(macro.scope);
    bind_parameters(code, arguments, scope);
    if (code.takes_caller && !scope->variables.contains("caller")) {
      scope->variables["caller"] = taken(arguments, "caller", Value::undefined("caller"));
    }
    Mapping rest;
    for (const auto& [name, value] : arguments.named) rest.set(context_, name, value);
    if (rest.size() > 0 && !code.takes_kwargs) {
      throw InputError("the macro " + code.text + " has no parameter " + arguments.named[0].first);
    }
    if (code.takes_kwargs) scope->variables["kwargs"] = std::move(rest);
    Items more;
    const Items& given = arguments.positional;
    if (given.size() > code.names.size()) {
      more.assign(given.begin() + static_cast<std::ptrdiff_t>(code.names.size()), given.end());
    }
    if (!more.empty() && !code.takes_varargs) {
      throw InputError("the macro " + code.text + " takes " + std::to_string(code.names.size()) +
                       " arguments, got " + std::to_string(given.size()));
    }
    if (code.takes_varargs) {
      scope->variables["varargs"] = Value::sequence(SequenceKind::kTuple, std::move(more));
    }
    std::string out;
    execute(code.body, scope, out);
    return out;
  }

 private:
  // The named argument, which is then no more among them.
  static Value taken(Arguments& arguments, const std::string& name, Value fallback) {
    const auto found = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& item) { return item.first == name; });
    if (found == arguments.named.end()) return fallback;
    Value value = std::move(found->second);
    arguments.named.erase(found);
    return value;
  }

  // Defaults may name the parameters before them.
  void bind_parameters(const Statement& code, Arguments& arguments, const ScopePtr& scope) {
    for (size_t i = 0; i < code.names.size(); ++i) {
      const std::string& name = code.names[i];
      if (i < arguments.positional.size()) {
        scope->variables[name] = arguments.positional[i];
        continue;
      }
      const size_t named = arguments.named.size();
      Value value = taken(arguments, name, Value::undefined(name));
      if (named == arguments.named.size() && code.defaults[i]) {
        value = evaluate(*code.defaults[i], *scope);
      }
      scope->variables[name] = std::move(value);
    }
  }

  Flow execute(const Block& block, const ScopePtr& scope, std::string& out) {
    for (const Statement& statement : block) {
      const Flow flow = execute(statement, scope, out);
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  Flow execute(const Statement& statement, const ScopePtr& scope, std::string& out) {
    const Context::Level level(context_);
    context_.step();
    context_.line = statement.line;
    switch (statement.kind) {
      case StatementKind::kText:
        context_.text(statement.text.size());
        out += statement.text;
        return Flow::kNext;
      case StatementKind::kOutput:
        out += to_text(context_, evaluate(*statement.value, *scope));
        return Flow::kNext;
      case StatementKind::kIf:
        return execute_if(statement, scope, out);
      case StatementKind::kFor:
        return execute_for(statement, scope, out);
      case StatementKind::kSet:
        set_targets(statement, evaluate(*statement.value, *scope), *scope);
        return Flow::kNext;
      case StatementKind::kSetBlock:
        set_targets(statement, captured(statement, scope), *scope);
        return Flow::kNext;
      case StatementKind::kMacro:
        scope->variables[statement.text] = make_macro(statement, scope);
        return Flow::kNext;
      case StatementKind::kCall: {
        Arguments arguments = arguments_of(*statement.value, *scope);
        arguments.named.emplace_back("caller", make_macro(statement, scope));
        out += to_text(context_, call(*statement.value, *scope, std::move(arguments)));
        return Flow::kNext;
      }
      case StatementKind::kFilter:
        out += to_text(context_, captured(statement, scope));
        return Flow::kNext;
      case StatementKind::kWith:
      case StatementKind::kScope:
        return execute_scope(statement, scope, out);
      case StatementKind::kBreak:
        return Flow::kBreak;
      case StatementKind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kNext;
  }

  Flow execute_if(const Statement& statement, const ScopePtr& scope, std::string& out) {
    for (const Branch& branch : statement.branches) {
      if (evaluate(*branch.condition, *scope).truthy()) return execute(branch.body, scope, out);
    }
    return execute(statement.other, scope, out);
  }

  Flow execute_scope(const Statement& statement, const ScopePtr& scope, std::string& out) {
    if (statement.kind == StatementKind::kScope) {
      return execute(statement.body, std::make_shared<Scope>(scope), out);
    }
    BlockScope inner(scope);
    for (size_t i = 0; i < statement.names.size(); ++i) {
      inner[statement.names[i]] = evaluate(*statement.defaults[i], *scope);
    }
    return execute(statement.body, inner.get(), out);
  }

  // The text of the body, filtered.
  Value captured(const Statement& statement, const ScopePtr& scope) {
    std::string text;
    BlockScope inner(scope);
    execute(statement.body, inner.get(), text);
    if (!statement.value) return text;
    inner[kCapturedText] = std::move(text);
    return evaluate(*statement.value, *inner.get());
  }

  void set_targets(const Statement& statement, Value value, Scope& scope) {
    if (statement.text.empty()) return bind_targets(statement, value, scope);
    bool ended = false;
    const Value* target = scope.find(statement.names[0], ended);
    auto* space = target && target->is_object() && !ended
                      ? dynamic_cast<Namespace*>(target->as_object().get())
                      : nullptr;
    if (!space) throw InputError("expected a namespace, got " + statement.names[0]);
    space->variables.set(context_, statement.text, std::move(value));
  }

  void bind_targets(const Statement& statement, const Value& item, Scope& scope) {
    if (!statement.unpacks) {
      scope.variables[statement.names[0]] = item;
      return;
    }
    const Items parts = items_of(context_, item);
    if (parts.size() != statement.names.size()) refuse_count(statement.names.size(), parts.size());
    for (size_t i = 0; i < parts.size(); ++i) scope.variables[statement.names[i]] = parts[i];
  }

  Flow execute_for(const Statement& statement, const ScopePtr& scope, std::string& out) {
    Items items = items_of(context_, evaluate(*statement.value, *scope));
    if (statement.condition) {
      std::erase_if(items, [&](const Value& item) {
        Scope inner(scope);
        bind_targets(statement, item, inner);
        return !evaluate(*statement.condition, inner).truthy();
      });
    }
    if (items.empty()) {
      return execute(statement.other, BlockScope(scope).get(), out);
    }
    const auto loop = std::make_shared<Loop>(std::move(items));
    for (size_t i = 0; i < loop->items.size(); ++i) {
      BlockScope inner(scope);
      inner["loop"] = Value(std::shared_ptr<Object>(loop));
      bind_targets(statement, loop->items[i], *inner.get());
      loop->index = i;
      if (execute(statement.body, inner.get(), out) == Flow::kBreak) break;
    }
    return Flow::kNext;
  }

  Value make_macro(const Statement& statement, const ScopePtr& scope) {
    if (!scope->kept) {
      scope->kept = true;
      context_.keep(scope);
    }
    return std::shared_ptr<Object>(std::make_shared<Macro>(*this, statement, scope));
  }
};

Value Macro::attribute(Context&, const std::string& name) {
  if (name == "name") return code.kind == StatementKind::kMacro ? Value(code.text) : Value(None{});
  for (const char* other : {"arguments", "catch_kwargs", "catch_varargs", "caller"}) {
    if (name == other) throw InputError("the attribute " + name + " of a macro is not known here");
  }
  return Value::undefined(name);
}

Value Macro::call(Context&, const Arguments& arguments) {
  return evaluator.call_macro(*this, arguments);
}

}  // namespace

std::string render(const Block& block, const Mapping& variables, const Limits& limits) {
  Context context(limits);
  try {
    return Evaluator(context).run(block, variables);
  } catch (const InputError& error) {
    throw InputError("chat template, line " + std::to_string(context.line) + ": " + error.what());
  }
}

}  // namespace weft::jinja
