#include "base/base64.h"
#include "base/gzip.h"
#include "data/benchmarks/given_tests.h"
#include "data/benchmarks/loaders.h"

namespace weft {
namespace {

// The one text in a pickle of Python: the private tests are pickled, packed by zlib and in base64.
std::string unpickled_text(RowFields& row, const std::string& pickle) {
  const auto number = [&](size_t at, size_t bytes) {
    size_t value = 0;
    if (at + bytes > pickle.size()) row.fail("private_test_cases: broken pickle");
    for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<uint8_t>(pickle[at + i]);
    return value;
  };
  size_t at = 0;
  if (pickle.starts_with('\x80')) at = 2;                   // PROTO
  if (at < pickle.size() && pickle[at] == '\x95') at += 9;  // FRAME
  if (at >= pickle.size()) row.fail("private_test_cases: broken pickle");
  const char code = pickle[at];
  const size_t bytes = code == '\x8c' ? 1 : code == 'X' ? 4 : code == '\x8d' ? 8 : 0;
  if (bytes == 0) row.fail("private_test_cases: expected a pickled text");
  const size_t length = number(at + 1, bytes);
  if (length > pickle.size() - at - 1 - bytes) row.fail("private_test_cases: broken pickle");
  return pickle.substr(at + 1 + bytes, length);
}

Json cases_of(RowFields& row, const char* key) {
  const std::string text = row.text(key);
  const size_t first = text.find_first_not_of(" \n");
  if (first == std::string::npos) return Json::array();
  if (text[first] == '[') return row.parse_text(key, text);
  const auto packed = base64_decode(text);
  if (!packed) row.fail(std::string(key) + ": expected JSON or base64");
  return row.parse_text(key, unpickled_text(row, unpack_zlib(*packed, row.where())));
}

// A value a line, as JSON.
Json values_of(RowFields& row, const std::string& text) {
  Json values = Json::array();
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = trimmed(text.substr(at, end - at));
    if (!line.empty()) values.push_back(row.parse_text("a test", line));
    at = end + 1;
  }
  return values;
}

std::vector<Json> tests_of(RowFields& row, const char* key, bool is_call) {
  std::vector<Json> tests;
  const Json cases = cases_of(row, key);
  if (!cases.is_array()) row.fail(std::string(key) + ": expected a list");
  for (const auto& one : cases) {
    const std::string input = get_field<std::string>(one, "input", row.where());
    const std::string output = get_field<std::string>(one, "output", row.where());
    const std::string type = get_field<std::string>(one, "testtype", row.where());
    if (type != (is_call ? "functional" : "stdin")) {
      row.fail(std::string(key) + ": testtype: expected " + (is_call ? "functional" : "stdin") +
               ", got " + type);
    }
    tests.push_back(is_call ? call_test(values_of(row, input), row.parse_text("a test", output))
                            : stdio_test(input, output));
  }
  return tests;
}

}  // namespace

BenchmarkRow load_livecodebench(RowFields& row) {
  BenchmarkRow parsed;
  parsed.id = row.text("question_id");
  const std::string starter = row.text_or("starter_code", "");
  const Json metadata = row.has("metadata") ? row.json_text("metadata") : Json::object();
  const Json function = metadata.is_object() ? metadata.value("func_name", Json()) : Json();
  const bool is_call = function.is_string();
  parsed.prompt = row.text("question_content");
  if (is_call) {
    parsed.entry_point = entry_point_of(function, starter);
    parsed.prompt += "\n\nBegin with:\n" + starter + "\n";
  } else {
    parsed.prompt += "\n\nRead standard input and write standard output.\n";
  }
  parsed.shown = tests_of(row, "public_test_cases", is_call);
  parsed.tests = tests_of(row, "private_test_cases", is_call);
  parsed.meta = row.some({"platform", "contest_date", "difficulty"});
  row.ignore("contest_id");
  return parsed;
}

}  // namespace weft
