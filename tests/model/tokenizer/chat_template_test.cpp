// jinja_templates.json, jinja_sweep.json: Jinja2 as transformers sets it up
// (make_template_fixtures.py). chat_templates.json: transformers' apply_chat_template
// (make_text_fixtures.py).
#include "model/tokenizer/chat_template.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

struct Rendering {
  std::string text;
  std::string error;
};

Rendering render(const std::string& jinja, const Json& test_case) {
  try {
    const ChatTemplate chat(jinja, "<s>", "</s>");
    return {chat.render_json(test_case["messages"], test_case["add_generation_prompt"].get<bool>(),
                             test_case["extra"]),
            ""};
  } catch (const InputError& error) {
    return {"", error.what()};
  }
}

void check(const std::string& jinja, const Json& test_case) {
  const Rendering got = render(jinja, test_case);
  const std::string shown = test_case.value("file", jinja);
  if (test_case.contains("error")) {
    EXPECT_NE(got.error, "") << shown << "\nexpected: " << test_case["error"];
  } else {
    EXPECT_EQ(got.error, "") << shown;
    EXPECT_EQ(got.text, test_case["expected"].get<std::string>()) << shown;
  }
}

Json cases(const std::string& fixture) { return read_json_file(test::fixture(fixture))["cases"]; }

TEST(ChatTemplate, RendersEachConstructAsJinja2) {
  int count = 0;
  for (const Json& test_case : cases("jinja_templates.json")) {
    if (!test_case.contains("template")) continue;
    check(test_case["template"].get<std::string>(), test_case);
    ++count;
  }
  EXPECT_GE(count, 30);
}

// Every filter, test, method and operator by values of every type. What is not known here may be
// refused where Jinja2 renders it, but those are few and nothing is ever rendered otherwise.
TEST(ChatTemplate, NeverRendersOtherwiseThanJinja2) {
  const Json sweep = read_json_file(test::fixture("jinja_sweep.json"));
  int rendered = 0, refused = 0;
  for (const Json& row : sweep["rows"]) {
    const auto jinja = row[0].get<std::string>();
    const Rendering got = render(jinja, {{"messages", Json::array()},
                                         {"add_generation_prompt", false},
                                         {"extra", {{"tools", nullptr}}}});
    if (row[1].is_null()) {
      EXPECT_NE(got.error, "") << jinja << " gives " << got.text;
    } else if (got.error.empty()) {
      ++rendered;
      EXPECT_EQ(got.text, row[1].get<std::string>()) << jinja;
    } else {
      ++refused;
      EXPECT_NE(got.error.find("known"), std::string::npos) << jinja << ": " << got.error;
    }
  }
  EXPECT_GT(rendered, 3000);
  EXPECT_LT(refused, 100);
}

TEST(ChatTemplate, RendersTheTemplatesOfRealModels) {
  if (test::reference_data().empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
  int count = 0;
  for (const Json& test_case : cases("jinja_templates.json")) {
    if (!test_case.contains("file")) continue;
    const auto file = test_case["file"].get<std::string>();
    check(read_file(test::reference_data() / "tokenizers" / "templates" / file), test_case);
    ++count;
  }
  EXPECT_GE(count, 40);
}

TEST(ChatTemplate, RendersQwen25AsTransformers) {
  if (test::reference_data().empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
  const ChatTemplate chat(read_file(test::reference_data() / "tokenizers" / "templates" /
                                    "Qwen-Qwen2.5-7B-Instruct.jinja"));
  for (const Json& test_case : cases("chat_templates.json")) {
    EXPECT_EQ(
        chat.render_json(test_case["messages"], test_case["add_generation_prompt"].get<bool>()),
        test_case["qwen2.5"].get<std::string>())
        << test_case["name"];
  }
}

TEST(ChatTemplate, RendersTheDefaultModelsTemplateAsTransformers) {
  const auto model = test::source_dir() / "models" / "SmolLM2-135M-Instruct";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "no default model (scripts/bootstrap.sh)";
  const auto chat = ChatTemplate::load(model);
  for (const Json& test_case : cases("chat_templates.json")) {
    EXPECT_EQ(
        chat.render_json(test_case["messages"], test_case["add_generation_prompt"].get<bool>()),
        test_case["smollm2"].get<std::string>())
        << test_case["name"];
  }
}

std::string error_of(const std::string& jinja) {
  return render(jinja, {{"messages", Json::array()},
                        {"add_generation_prompt", true},
                        {"extra", Json::object()}})
      .error;
}

TEST(ChatTemplate, NamesWhatItDoesNotKnow) {
  EXPECT_NE(error_of("\n{% include 'x' %}").find("line 2: unknown block, got 'include'"),
            std::string::npos);
  EXPECT_NE(error_of("{{ 1 | wordwrap }}").find("wordwrap"), std::string::npos);
  EXPECT_NE(error_of("{{ 1 is prime }}").find("prime"), std::string::npos);
  EXPECT_NE(error_of("{{ 'a'.zfill(3) }}").find("zfill"), std::string::npos);
  EXPECT_NE(error_of("{{ raise_exception('no tools') }}").find("no tools"), std::string::npos);
}

TEST(ChatTemplate, RefusesBrokenTemplates) {
  for (const char* broken :
       {"{{ 'a", "{% if x %}", "{{ 1 +", "{{ a.b.c }}", "{% for x in 3 %}{% endfor %}",
        "{{ 1 / 0 }}", "{% endif %}", "{{ [1, 2 }}", "{# no end", "{{ 'a' + 1 }}", "{{ f() }}",
        "{% for i in range(999999999) %}{% endfor %}", "{{ 'x' * 9999999999 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"}) {
    EXPECT_NE(error_of(broken), "") << broken;
  }
  EXPECT_NE(error_of("{{ " + std::string(100000, '(')), "");
  EXPECT_NE(error_of("{{ " + std::string(100000, '-') + "1 }}"), "");
}

TEST(ChatTemplate, IsFoundInEitherFile) {
  const test::TempDir dir;
  EXPECT_THROW(ChatTemplate::load(dir.path()), InputError);
  write_file_atomically(dir / "tokenizer_config.json",
                        R"({"bos_token": {"content": "<b>"}, "eos_token": null,
                            "chat_template": [{"name": "tool", "template": "T"},
                              {"name": "default", "template": "{{ bos_token }}{{ eos_token }}D"}]})");
  EXPECT_EQ(ChatTemplate::load(dir.path()).render({}, true), "<b>D");
  write_file_atomically(dir / "chat_template.jinja",
                        "{% for m in messages %}{{ m.role }}:{{ m.content }}{% endfor %}");
  EXPECT_EQ(ChatTemplate::load(dir.path()).render({{"user", "hi"}}, true), "user:hi");
}

}  // namespace
}  // namespace weft
