/// Objects that templates make: namespaces, loops, macros, methods.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

struct Namespace : Object {
  const char* type_name() const override { return "namespace"; }
  bool callable() const override { return false; }
  Value attribute(Context& context, const std::string& name) override;
  void clear() override { variables.clear(); }

  Mapping variables;
};

/// The variable `loop`.
struct Loop : Object, std::enable_shared_from_this<Loop> {
  explicit Loop(Items all);
  const char* type_name() const override { return "loop"; }
  Value attribute(Context& context, const std::string& name) override;
  Value call(Context& context, const Arguments& arguments) override;
  void clear() override;

  Items items;
  size_t index = 0;
  Items last_changed;  ///< arguments of the last loop.changed()
  bool changed_once = false;
};

/// A function of C++: one of the language's own, or a method together with its value.
struct NativeFunction : Object {
  using Call = std::function<Value(Context&, const Arguments&)>;
  NativeFunction(Call call, int levels) : function(std::move(call)) { depth = levels; }
  const char* type_name() const override { return "function"; }
  Value call(Context& context, const Arguments& arguments) override {
    return function(context, arguments);
  }

  Call function;
};

}  // namespace weft::jinja
