#include "sandbox/judge/prepared_tests.h"

#include <algorithm>

#include "base/error.h"
#include "base/known_fields.h"
#include "sandbox/jail/single_call.h"
#include "sandbox/value/wire.h"

namespace weft {
namespace {

std::string test_place(size_t index) { return "test " + std::to_string(index); }

const Json* field(const Json& test, const char* key) {
  const auto found = test.find(key);
  return found == test.end() ? nullptr : &*found;
}

// (args, kwargs)
PythonValue arguments_of(const Json& test, const std::string& where) {
  const Json* args = field(test, "args");
  if (!args || !args->is_array()) throw_field_error(where, "args", "an array", args);
  PythonValue arguments = value_from_json(*args, where);
  arguments.kind = PythonValue::Kind::kTuple;
  PythonValue keywords;
  keywords.kind = PythonValue::Kind::kDict;
  if (const Json* kwargs = field(test, "kwargs")) {
    if (!kwargs->is_object()) throw_field_error(where, "kwargs", "an object", kwargs);
    for (const auto& [key, value] : kwargs->items()) {
      keywords.items.push_back(PythonValue::str(key));
      keywords.items.push_back(value_from_json(value, where));
    }
  }
  return PythonValue::tuple({std::move(arguments), std::move(keywords)});
}

// (statements, expression)
PythonValue expression_of(const Json& test, const std::string& where) {
  for (const char* key : {"args", "kwargs"}) {
    if (field(test, key)) throw InputError(where + ": expected \"call\" or \"args\", got both");
  }
  refuse_unknown_fields(test, {"call", "before", "expected", "compare"}, where);
  return PythonValue::tuple({PythonValue::str(get_field_or<std::string>(test, "before", "", where)),
                             PythonValue::str(get_field<std::string>(test, "call", where))});
}

PreparedTest prepare_call(const Json& test, const std::string& where) {
  PreparedTest prepared;
  if (field(test, "code")) {  // filled in by split_code_tests
    refuse_unknown_fields(test, {"code"}, where);
    get_field<std::string>(test, "code", where);
    return prepared;
  }
  if (!field(test, "call")) {
    refuse_unknown_fields(test, {"args", "kwargs", "expected", "compare"}, where);
  }
  const Json* expected = field(test, "expected");
  prepared.call = field(test, "call") ? expression_of(test, where) : arguments_of(test, where);
  require_within_caps(prepared.call, where + ": args");
  if (!expected) throw_field_error(where, "expected", "a value", nullptr);
  prepared.expected = value_from_json(*expected, where);
  require_within_caps(prepared.expected, where + ": expected");
  const Json* compare = field(test, "compare");
  prepared.comparer = Comparer::from_json(compare ? *compare : Json(), where);
  return prepared;
}

PreparedTest prepare_stdio(const Json& test, const std::string& where) {
  refuse_unknown_fields(test, {"input", "output", "compare"}, where);
  PreparedTest prepared;
  prepared.input = get_field<std::string>(test, "input", where);
  prepared.output = get_field<std::string>(test, "output", where);
  const Json* compare = field(test, "compare");
  prepared.output_comparer = OutputComparer::from_json(compare ? *compare : Json(), where);
  return prepared;
}

PreparedTest prepare_test(const Json& test, Mode mode, size_t index) {
  const std::string where = test_place(index);
  if (!test.is_object())
    throw InputError(where + ": expected an object, got " + describe_type(test));
  switch (mode) {
    case Mode::kCall:
      return prepare_call(test, where);
    case Mode::kStdio:
      return prepare_stdio(test, where);
    case Mode::kJudge: {
      PreparedTest prepared;
      prepared.call = value_from_json(test, where);
      require_within_caps(prepared.call, where);
      return prepared;
    }
    case Mode::kInproc: {
      refuse_unknown_fields(test, {"code"}, where);
      PreparedTest prepared;
      prepared.call = PythonValue::str(get_field<std::string>(test, "code", where));
      return prepared;
    }
  }
  return {};
}

size_t bytes_of(const PythonValue& value) {
  size_t bytes = sizeof value + value.text.size();
  for (const auto& item : value.items) bytes += bytes_of(item);
  return bytes;
}

size_t bytes_of(const PreparedTests& tests) {
  size_t bytes = 0;
  for (const auto& test : tests) {
    bytes += sizeof test + bytes_of(test.call) + bytes_of(test.expected) + test.input.size() +
             test.output.size();
  }
  return bytes;
}

}  // namespace

PreparedTests prepare_tests(const std::vector<Json>& tests, Mode mode) {
  PreparedTests prepared;
  for (size_t i = 0; i < tests.size(); ++i) prepared.push_back(prepare_test(tests[i], mode, i));
  return prepared;
}

bool has_code_tests(const JudgeRequest& request) {
  return request.mode == Mode::kCall &&
         std::any_of(request.tests.begin(), request.tests.end(),
                     [](const Json& test) { return field(test, "code") != nullptr; });
}

void split_code_tests(const JudgeRequest& request, SlotPool::Lease& lease, double time_scale,
                      PreparedTests& tests) {
  if (!has_code_tests(request)) return;
  std::vector<PythonValue> codes;
  std::vector<size_t> places;
  for (size_t i = 0; i < tests.size(); ++i) {
    if (!field(request.tests[i], "code")) continue;
    codes.push_back(
        PythonValue::str(get_field<std::string>(request.tests[i], "code", test_place(i))));
    places.push_back(i);
  }
  lease.choose(Flavour::kStd);
  const auto parsed = run_builtin(
      lease.zygote(), "parse_asserts",
      {PythonValue::list(std::move(codes)), PythonValue::str(request.entry_point)}, time_scale);
  if (!parsed.value || parsed.value->items.size() != places.size()) {
    throw InputError("code tests: cannot be parsed: " + parsed.failure());
  }
  for (size_t k = 0; k < places.size(); ++k) {
    const auto& items = parsed.value->items[k].items;
    if (items.size() != 4) {
      throw InputError(
          test_place(places[k]) + ": expected \"assert " + request.entry_point +
          "(literals) == literal\": " + (items.size() == 2 ? items[1].text : "unreadable") +
          "; give args and expected, or use mode inproc");
    }
    tests[places[k]].call = PythonValue::tuple({items[1], items[2]});
    tests[places[k]].expected = items[3];
  }
}

std::string PreparedTestCache::key_of(const JudgeRequest& request) {
  std::string key = std::to_string(static_cast<int>(request.mode)) + " " + request.entry_point;
  for (const auto& test : request.tests) key += "\n" + dump_json(test);
  return key;
}

std::shared_ptr<const PreparedTests> PreparedTestCache::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : found->second.tests;
}

std::shared_ptr<const PreparedTests> PreparedTestCache::add(const std::string& key,
                                                            PreparedTests tests) {
  const size_t bytes = 2 * key.size() + bytes_of(tests);
  auto kept = std::make_shared<const PreparedTests>(std::move(tests));
  const std::lock_guard lock(mutex_);
  num_prepared_ += static_cast<int64_t>(kept->size());
  if (bytes > kMaxBytes || !entries_.emplace(key, Entry{kept, bytes}).second) return kept;
  order_.push_back(key);
  bytes_ += bytes;
  while (bytes_ > kMaxBytes) {
    const auto oldest = entries_.find(order_.front());
    bytes_ -= oldest->second.bytes;
    entries_.erase(oldest);
    order_.pop_front();
  }
  return kept;
}

int64_t PreparedTestCache::num_prepared() const {
  const std::lock_guard lock(mutex_);
  return num_prepared_;
}

}  // namespace weft
