#include "model/tokenizer/jinja/objects.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/error.h"
#include "model/tokenizer/jinja/arguments.h"
#include "model/tokenizer/jinja/builtins.h"
#include "model/tokenizer/jinja/print.h"

namespace weft::jinja {
namespace {

constexpr Int kMaxRange = 100000;  // jinja2's sandbox has the same

Value native(NativeFunction::Call call, int depth = 1) {
  return std::shared_ptr<Object>(std::make_shared<NativeFunction>(std::move(call), depth));
}

Value range_function(Context& context, const Arguments& arguments) {
  const Bound bound("range", arguments, {"/start", "/stop", "/step"}, 1);
  const bool both = bound.has(1);
  const Int begin = both ? bound[0].as_int() : 0, end = bound[both ? 1 : 0].as_int();
  const Int step = bound.get(2, 1).as_int();
  if (step == 0) throw InputError("range: a step of zero");
  if (begin > INT64_MAX || begin < INT64_MIN || end > INT64_MAX || end < INT64_MIN ||
      step > INT64_MAX || step < INT64_MIN) {
    throw InputError("range: the integers are too large");
  }
  const Int span = step > 0 ? end - begin : begin - end, size = step > 0 ? step : -step;
  const Int count = span > 0 ? (span + size - 1) / size : 0;
  if (count > kMaxRange) {
    throw InputError("range has more than " + std::to_string(int64_t{kMaxRange}) + " items");
  }
  context.step(static_cast<size_t>(count));
  Items items;
  for (Int i = 0; i < count; ++i) items.emplace_back(begin + i * step);
  Value value = Value::sequence(SequenceKind::kRange, std::move(items));
  Sequence& sequence = value.as_sequence();
  sequence.begin = begin;
  sequence.end = end;
  sequence.step = step;
  return value;
}

Mapping mapping_of(Context& context, const char* of, const Arguments& arguments) {
  if (arguments.positional.size() > 1) {
    throw InputError(std::string(of) + ": expected at most one mapping");
  }
  Mapping mapping;
  if (!arguments.positional.empty() && arguments.positional[0].is_mapping()) {
    mapping = arguments.positional[0].as_mapping();
    context.step(mapping.size());
  } else if (!arguments.positional.empty()) {
    for (const Value& pair : items_of(context, arguments.positional[0])) {
      const Items both = items_of(context, pair);
      if (both.size() != 2) throw InputError(std::string(of) + ": expected pairs");
      mapping.set(context, both[0], both[1]);
    }
  }
  for (const auto& [key, value] : arguments.named) mapping.set(context, key, value);
  return mapping;
}

Value make_namespace(Context& context, const Arguments& arguments) {
  auto space = std::make_shared<Namespace>();
  context.keep(space);
  space->variables = mapping_of(context, "namespace", arguments);
  return std::shared_ptr<Object>(std::move(space));
}

// Nothing at its first call, then the separator.
Value make_joiner(Context&, const Arguments& arguments) {
  const Bound bound("joiner", arguments, {"sep"});
  const Value separator = bound.get(0, ", ");
  const auto used = std::make_shared<bool>(false);
  return native(
      [separator, used](Context&, const Arguments&) -> Value {
        return std::exchange(*used, true) ? separator : Value("");
      },
      separator.depth() + 1);
}

Value strftime_now(Context& context, const Arguments& arguments) {
  const Bound bound("strftime_now", arguments, {"format"}, 1);
  const std::string& format = bound[0].as_string();
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  if (format.size() > 1000) throw InputError("strftime_now: the format is too long");
  std::string text(format.size() * 64 + 64, '\0');
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &local));
  context.text(text.size());
  return text;
}

Value cycle(const Loop& loop, const Arguments& arguments) {
  const Items& values = arguments.positional;
  if (values.empty() || !arguments.named.empty()) throw InputError("loop.cycle: expected values");
  return values[loop.index % values.size()];
}

Value changed(Context& context, const std::shared_ptr<Loop>& loop, const Arguments& arguments) {
  if (!arguments.named.empty()) throw InputError("loop.changed: expected values without names");
  const Items& values = arguments.positional;
  bool same = loop->changed_once && values.size() == loop->last_changed.size();
  for (size_t i = 0; same && i < values.size(); ++i) {
    same = equal(context, values[i], loop->last_changed[i]);
  }
  if (same) return false;
  if (!std::exchange(loop->changed_once, true)) context.keep(loop);
  loop->last_changed = values;
  return true;
}

}  // namespace

Value Namespace::attribute(Context&, const std::string& name) {
  const Value* found = name.starts_with('_') ? nullptr : variables.find(name);
  return found ? *found : Value::undefined(name);
}

Loop::Loop(Items all) : items(std::move(all)) {
  for (const Value& item : items) depth = std::max(depth, item.depth() + 1);
  if (depth > 200) throw InputError("values are nested too deeply for a loop");
}

Value Loop::attribute(Context&, const std::string& name) {
  const size_t count = items.size();
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return count - index;
  if (name == "revindex0") return count - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == count;
  if (name == "length") return count;
  if (name == "depth") return 1;
  if (name == "depth0") return 0;
  if (name == "previtem") return index > 0 ? items[index - 1] : Value::undefined(name);
  if (name == "nextitem") return index + 1 < count ? items[index + 1] : Value::undefined(name);
  const auto self = shared_from_this();
  if (name == "cycle") {
    return native([self](Context&, const Arguments& arguments) { return cycle(*self, arguments); },
                  depth + 1);
  }
  if (name == "changed") {
    return native([self](Context& c, const Arguments& a) { return changed(c, self, a); },
                  depth + 1);
  }
  return Value::undefined(name);
}

Value Loop::call(Context&, const Arguments&) {
  throw InputError("a loop can only be called when it is recursive, which is not known here");
}

void Loop::clear() {
  items.clear();
  last_changed.clear();
}

const std::map<std::string, Value, std::less<>>& global_functions() {
  static const std::map<std::string, Value, std::less<>> table = {
      {"range", native(range_function)},
      {"namespace", native(make_namespace)},
      {"dict", native([](Context& context, const Arguments& arguments) {
         return Value(mapping_of(context, "dict", arguments));
       })},
      {"joiner", native(make_joiner)},
      {"raise_exception", native([](Context& context, const Arguments& arguments) -> Value {
         const Bound bound("raise_exception", arguments, {"message"}, 1);
         throw InputError(to_text(context, bound[0]));
       })},
      {"strftime_now", native(strftime_now)},
  };
  return table;
}

}  // namespace weft::jinja
