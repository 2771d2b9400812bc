#include "tests/model/tokenizer/fuzz/targets.h"

#include <cstdlib>

#include "base/error.h"
#include "model/tokenizer/jinja/evaluator.h"
#include "model/tokenizer/jinja/parser.h"

namespace weft::fuzz {
namespace {

constexpr jinja::Limits kLimits{.steps = 20'000, .text_bytes = 200'000};

jinja::Mapping variables() {
  const Json json = Json::parse(R"({
    "messages": [{"role": "system", "content": "Be brief. "},
                 {"role": "user", "content": [{"type": "text", "text": "h\u00e9 \"x\"\n"}]},
                 {"role": "assistant", "content": null, "tool_calls":
                  [{"function": {"name": "add", "arguments": {"a": 1, "b": [2.5, true]}}}]}],
    "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "big": 9223372036854775807})");
  jinja::Mapping mapping;
  for (const auto& [key, value] : json.items()) mapping.set(key, jinja::from_json(value));
  return mapping;
}

std::string outcome(std::string_view jinja) {
  try {
    const auto block = jinja::parse(jinja);
    const std::string text = jinja::render(block, variables(), kLimits);
    if (text.size() > kLimits.text_bytes) std::abort();
    return "text " + text;
  } catch (const InputError& error) {
    return std::string("error ") + error.what();
  }
}

}  // namespace

void render_template(std::string_view jinja) {
  if (outcome(jinja) == outcome(jinja)) return;
  // the clock may have struck
  if (jinja.find("strftime_now") == std::string_view::npos) std::abort();
}

}  // namespace weft::fuzz
