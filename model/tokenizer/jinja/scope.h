/// Variables of a block, and macros, which keep the block that they were defined in.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "model/tokenizer/jinja/ast.h"
#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

struct Scope : Object {
  explicit Scope(std::shared_ptr<Scope> outer = nullptr) : parent(std::move(outer)) {}
  const char* type_name() const override { return "scope"; }
  void clear() override {
    variables.clear();
    parent.reset();
  }

  /// nullptr when no block around has it. `ended` says whether it is of a block that has ended:
  /// what jinja2 then gives to the macros of that block depends on how it compiles them.
  const Value* find(const std::string& name, bool& ended) const {
    for (const Scope* scope = this; scope; scope = scope->parent.get()) {
      const auto found = scope->variables.find(name);
      if (found == scope->variables.end()) continue;
      ended = scope->ended;
      return &found->second;
    }
    return nullptr;
  }

  std::unordered_map<std::string, Value> variables;
  std::shared_ptr<Scope> parent;
  bool kept = false;   ///< emptied by the Context when the rendering ends
  bool ended = false;  ///< the block, other than a macro's, was left
};

}  // namespace weft::jinja
