/// Values of the template language: Python's, as far as chat templates use them. All but objects
/// (namespaces, loops) and iterators are immutable, as in jinja2's immutable sandbox.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "model/tokenizer/jinja/context.h"

namespace weft::jinja {

/// Python's integers have no bound; these stop with an InputError at 2^127, never at a wrong
/// number.
__extension__ typedef __int128 Int;

class Value;
using Items = std::vector<Value>;
using Text = std::shared_ptr<const std::string>;

struct None {};

/// A variable that is not there; the name is for messages.
struct Undefined {
  Text name;
};

/// Text that the filters safe and escape made. It can be printed; whatever else jinja2 would do
/// with it escapes the other side, and is refused.
struct Markup {
  Text text;
};

enum class SequenceKind { kList, kTuple, kRange, kKeys, kValues, kPairs, kIterator };

/// Of an iterator the items before `at` are used up.
struct Sequence {
  SequenceKind kind = SequenceKind::kList;
  Items items;
  int depth = 1;
  size_t at = 0;
  Int begin = 0, end = 0, step = 1;  ///< of a range, for printing
};

/// In order of insertion.
class Mapping {
 public:
  /// nullptr when there is no such key. Throws InputError when `key` cannot be one.
  const Value* find(Context& context, const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(Context& context, const Value& key, Value value);
  void set(const std::string& key, Value value);
  void clear();

  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  size_t size() const;
  int depth() const { return depth_; }

 private:
  void set(std::string hash, const Value& key, Value value);

  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_map<std::string, size_t> index_;
  int depth_ = 1;
};

/// Arguments of a call.
struct Arguments {
  Items positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// What has identity: functions, macros, namespaces, loops.
struct Object {
  virtual ~Object() = default;
  virtual const char* type_name() const = 0;
  /// Undefined where there is no such attribute.
  virtual Value attribute(Context& context, const std::string& name);
  virtual bool callable() const { return true; }
  /// Throws InputError when it cannot be called.
  virtual Value call(Context& context, const Arguments& arguments);
  virtual void clear() {}  ///< lets go of all values
  int depth = 1;           ///< of the values that it holds for good
};

/// Cheap to copy: texts and containers are shared.
class Value {
 public:
  using Variant =
      std::variant<Undefined, None, bool, Int, double, Text, Markup, std::shared_ptr<Sequence>,
                   std::shared_ptr<Mapping>, std::shared_ptr<Object>>;

  Value() : data_(Undefined{}) {}
  Value(None v) : data_(v) {}
  Value(bool v) : data_(v) {}
  Value(Int v) : data_(v) {}
  Value(int v) : data_(Int{v}) {}
  Value(int64_t v) : data_(Int{v}) {}
  Value(size_t v) : data_(Int{v}) {}
  Value(double v) : data_(v) {}
  Value(std::string v) : data_(std::make_shared<const std::string>(std::move(v))) {}
  Value(std::string_view v) : Value(std::string(v)) {}
  Value(const char* v) : Value(std::string(v)) {}
  Value(Markup v) : data_(std::move(v)) {}
  Value(std::shared_ptr<Object> v) : data_(std::move(v)) {}
  /// Both throw InputError when values would be nested deeper than 256 levels.
  Value(Mapping v);
  static Value sequence(SequenceKind kind, Items items);
  static Value list(Items items) { return sequence(SequenceKind::kList, std::move(items)); }
  static Value iterator(Items items) { return sequence(SequenceKind::kIterator, std::move(items)); }
  static Value undefined(std::string name);

  bool is_undefined() const { return holds<Undefined>(); }
  bool is_none() const { return holds<None>(); }
  bool is_bool() const { return holds<bool>(); }
  bool is_int() const { return holds<Int>(); }
  bool is_float() const { return holds<double>(); }
  bool is_integral() const { return is_bool() || is_int(); }
  bool is_number() const { return is_integral() || is_float(); }
  bool is_string() const { return holds<Text>(); }
  bool is_markup() const { return holds<Markup>(); }
  bool is_sequence() const { return holds<std::shared_ptr<Sequence>>(); }
  bool is_sequence(SequenceKind kind) const { return is_sequence() && as_sequence().kind == kind; }
  bool is_list() const { return is_sequence(SequenceKind::kList); }
  bool is_tuple() const { return is_sequence(SequenceKind::kTuple); }
  bool is_iterator() const { return is_sequence(SequenceKind::kIterator); }
  bool is_mapping() const { return holds<std::shared_ptr<Mapping>>(); }
  bool is_object() const { return holds<std::shared_ptr<Object>>(); }
  /// A list, tuple or range: what has positions.
  bool is_indexed() const;

  /// Each throws InputError naming expected and got when the value is of another type. as_int takes
  /// a bool, as_index what fits 64 bits, as_float any number that a double holds.
  Int as_int() const;
  int64_t as_index() const;
  double as_float() const;
  const std::string& as_string() const;
  const std::string& as_markup() const;
  Sequence& as_sequence() const;
  Mapping& as_mapping() const;
  const std::shared_ptr<Object>& as_object() const;

  /// Python's truth; an undefined value is false, an iterator true even when it is empty.
  bool truthy() const;

  /// "string", "list", "undefined variable x", ... for messages.
  std::string type_name() const;

  int depth() const;

  /// Whether both are the same container or object.
  bool same(const Value& other) const;

 private:
  template <class T>
  bool holds() const {
    return std::holds_alternative<T>(data_);
  }
  Variant data_;
};

[[noreturn]] void wrong_type(const std::string& expected, const Value& got);

/// Python's ==; true == 1 == 1.0.
bool equal(Context& context, const Value& a, const Value& b);

/// Python's < (or <= with `or_equal`). Throws InputError for values that have no order.
bool less(Context& context, const Value& a, const Value& b, bool or_equal = false);

inline size_t Mapping::size() const { return entries_.size(); }

/// Equal for equal values, as Python's hash. Throws InputError for values that cannot be keys.
std::string hash_text(Context& context, const Value& value);

/// Throws InputError for what would not be Python's value: integers beyond 64 bits, values nested
/// deeper than 256 levels.
Value from_json(const Json& json, int depth = 0);

/// Python's len(). Throws InputError for what has none.
int64_t length(Context& context, const Value& value);

/// Items of a sequence, keys of a mapping, characters of a string; an iterator is used up. Throws
/// InputError for other types.
Items items_of(Context& context, const Value& value);

/// Python's `needle in haystack`.
bool contains(Context& context, const Value& haystack, const Value& needle);

}  // namespace weft::jinja
