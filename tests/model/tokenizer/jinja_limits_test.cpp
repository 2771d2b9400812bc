// What a model's own template could do to the process that renders it.
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/tokenizer/chat_template.h"
#include "model/tokenizer/jinja/evaluator.h"
#include "model/tokenizer/jinja/parser.h"

namespace weft {
namespace {

std::string render(const std::string& jinja) { return ChatTemplate(jinja).render({}, true); }

std::string error_of(const std::string& jinja) {
  try {
    return "rendered: " + render(jinja).substr(0, 200);
  } catch (const InputError& error) {
    return error.what();
  }
}

std::string repeat(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

void expect_error(const std::string& jinja, const std::string& part) {
  const std::string error = error_of(jinja);
  EXPECT_NE(error.find(part), std::string::npos) << jinja.substr(0, 200) << "\n" << error;
}

// With limits that are met soon.
void expect_stopped(const std::string& jinja, const std::string& part) {
  jinja::Limits limits;
  limits.steps = 200'000;
  limits.text_bytes = size_t{1} << 20;
  try {
    jinja::render(jinja::parse(jinja), {}, limits);
    ADD_FAILURE() << jinja.substr(0, 200);
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
        << jinja.substr(0, 200) << "\n"
        << error.what();
  }
}

TEST(JinjaLimits, AMacroOutlivesTheLoopThatDefinedIt) {
  const std::string stored =
      "{% set ns = namespace() %}{% for i in [1, 2] %}"
      "{% macro f(x) %}[{{ x }}{{ g is defined }}]{% endmacro %}{% set ns.f = f %}{% endfor %}";
  EXPECT_EQ(render(stored + "{{ ns.f(3) }}"), "[3False]");
  expect_error(
      "{% set ns = namespace() %}{% for i in [1, 2] %}{% macro f() %}{{ i }}{% endmacro %}"
      "{% set ns.f = f %}{% endfor %}{{ ns.f() }}",
      "the variable i is of a block that has ended");
  EXPECT_EQ(render("{% macro f() %}{% macro g() %}in{% endmacro %}{% set ns.g = g %}{% endmacro %}"
                   "{% set ns = namespace() %}{{ f() }}{{ ns.g() }}"),
            "in");
}

TEST(JinjaLimits, WhatHoldsItselfIsPrintedComparedAndFreed) {
  const std::string self = "{% set ns = namespace(a=1) %}{% set ns.l = [{'k': ns}] %}";
  EXPECT_EQ(render(self + "{{ ns }}"), "<Namespace {'a': 1, 'l': [{'k': <Namespace {...}>}]}>");
  EXPECT_EQ(render(self + "{{ ns == ns.l[0].k }}{{ ns.l == ns.l }}{{ 'y' if ns }}"), "TrueTruey");
  expect_error(self + "{{ ns.l | tojson }}", "expected a value for tojson, got namespace");
  EXPECT_EQ(render(self + "{% macro f() %}{{ ns.a }}{% endmacro %}{% set ns.f = f %}{{ ns.f() }}"),
            "1");
  EXPECT_EQ(render("{% set ns = namespace() %}{% for x in [1] %}{% set ns.l = loop %}"
                   "{{ loop.changed(loop, ns) }}{% endfor %}"),
            "True");
}

TEST(JinjaLimits, StopsLoopsAndDoublings) {
  const std::string steps = "does more than", text = "bytes of text";
  expect_stopped("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                 steps);
  expect_stopped("{% for i in range(10**9) %}{% endfor %}", "range has more than 100000 items");
  expect_stopped("{% for i in range(-9223372036854775807, 9223372036854775807) %}{% endfor %}",
                 "range has more than");
  const std::string doubles =
      "{% set ns = namespace(x=START) %}{% for i in range(99) %}{% set ns.x = ";
  const auto doubling = [&](const std::string& start, const std::string& twice) {
    std::string jinja = doubles + twice + " %}{% endfor %}{{ ns.x }}";
    return jinja.replace(jinja.find("START"), 5, start);
  };
  expect_error(doubling("'x'", "ns.x ~ ns.x"), text);
  expect_stopped(doubling("'x'", "ns.x ~ ns.x"), text);
  expect_stopped(doubling("'x'", "ns.x + ns.x"), text);
  expect_stopped(doubling("'x'", "ns.x * 3"), text);
  expect_stopped(doubling("'x'", "ns.x.replace('x', 'xx')"), text);
  expect_stopped(doubling("'x'", "'%s%s' % (ns.x, ns.x)"), text);
  expect_stopped(doubling("'x'", "'{0}{0}'.format(ns.x)"), text);
  expect_stopped(doubling("'x'", "[ns.x, ns.x] | join"), text);
  expect_stopped(doubling("[1]", "ns.x + ns.x"), steps);
  expect_stopped(doubling("[1]", "ns.x * 9"), steps);
  expect_stopped(doubling("[1]", "[ns.x, ns.x]"), steps);
  expect_stopped("{{ 'x' * 9999999999 }}", text);
  expect_stopped("{{ [1] * 9999999999 }}", steps);
  expect_stopped("{{ 'a' | indent(9999999999) }}", text);
  expect_stopped("{{ 'a'.ljust(9999999999) }}", text);
  expect_stopped("{{ [1] | tojson(indent=9999999999) }}", text);
  expect_stopped("{{ '{:9999999999}'.format('a') }}", "is not known here");
}

// Equal lists that share their items at 60 levels have 2^60 paths.
TEST(JinjaLimits, StopsWalksOverSharedValues) {
  const std::string both =
      "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(60) %}{% set ns.a = [ns.a, ns.a] %}"
      "{% set ns.b = [ns.b, ns.b] %}{% endfor %}";
  expect_stopped(both + "{{ ns.a == ns.b }}", "does more than");
  expect_stopped(both + "{{ ns.a < ns.b }}", "does more than");
  expect_stopped(both + "{{ ns.a | tojson }}", "does more than");
  expect_stopped(both + "{{ ns.a }}", "does more than");
  expect_stopped(both + "{{ [ns.a] | sort }}{{ [ns.a, ns.b] | sort }}", "does more than");
}

TEST(JinjaLimits, StopsNesting) {
  const std::string deep = "nested";
  expect_error("{{ " + std::string(100000, '(') + "1" + std::string(100000, ')') + " }}", deep);
  expect_error("{{ " + std::string(100000, '[') + "1" + std::string(100000, ']') + " }}", deep);
  expect_error("{{ " + repeat("{1:", 100000) + "1" + std::string(100000, '}') + " }}", deep);
  expect_error("{{ " + std::string(100000, '('), "has no end");
  expect_error("{{ " + std::string(100000, '-') + "1 }}", deep);
  expect_error("{{ " + repeat("not ", 100000) + "1 }}", deep);
  expect_error("{{ 1" + repeat(" if 1 else 1", 50000) + " }}", deep);
  expect_error("{{ 'a'" + repeat("|trim", 100000) + " }}", deep);
  expect_error("{{ 1" + repeat(" + 1", 100000) + " }}", deep);
  expect_error("{{ 1" + repeat(" ** 1", 100000) + " }}", deep);
  expect_error("{{ 1" + repeat(" and 1", 100000) + " }}", deep);
  expect_error("{{ x" + repeat(".a", 100000) + " }}", deep);
  expect_error("{{ x" + repeat("[0]", 100000) + " }}", deep);
  expect_error("{{ x" + repeat("()", 100000) + " }}", deep);
  expect_error(repeat("{% if 1 %}", 50000), deep);
  expect_error(repeat("{% for a in b %}", 50000), deep);
  expect_error(repeat("{% macro f() %}", 50000), deep);
  expect_error(repeat("{% set x %}", 50000), deep);
  expect_error("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", deep);
  expect_error(
      "{% macro f() %}{{ caller is defined }}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}",
      deep);
  for (const char* deeper : {"[ns.x]", "{'a': ns.x}", "(ns.x,)", "[ns.x].index", "[ns.x] | list",
                             "[ns.x] | select", "joiner([ns.x])", "{'a': ns.x}.values()"}) {
    expect_error(std::string("{% set ns = namespace(x=1) %}{% for i in range(99999) %}"
                             "{% set ns.x = ") +
                     deeper + " %}{% endfor %}",
                 deep);
  }
  expect_error(
      "{% set ns = namespace(x=1) %}{% for i in range(9999) %}{% for j in [ns.x] %}"
      "{% set ns.x = loop %}{% endfor %}{% endfor %}",
      deep);
  expect_error(std::string(1000001, ' '), "expected at most 1000000 bytes");
}

// 20,000 elif and 100,000 "~" are flat.
TEST(JinjaLimits, TakesWhatIsOnlyLong) {
  EXPECT_EQ(render("{% if 0 %}" + repeat("{% elif 0 %}", 20000) + "{% else %}e{% endif %}"), "e");
  EXPECT_EQ(render("{{ 1" + repeat("~1", 100000) + " }}"), std::string(100001, '1'));
  EXPECT_EQ(render("{{ 1" + repeat("<2<3>1", 20000) + "}}"), "True");
  EXPECT_EQ(render(repeat("{{ 1 }}", 100000)), std::string(100000, '1'));
  const std::string nested =
      "{% macro f(n) %}{% if n > 0 %}<{{ f(n - 1) }}>{% endif %}{% endmacro %}{{ f(40) }}";
  EXPECT_EQ(render(nested), std::string(40, '<') + std::string(40, '>'));
}

TEST(JinjaLimits, IntegersAreExactOrRefused) {
  EXPECT_EQ(render("{{ -2 ** 63 % -1 }}{{ (-2 ** 127) // 1 }}"),
            "0-170141183460469231731687303715884105728");
  for (const char* large :
       {"2 ** 127", "-(-2 ** 127)", "(-2 ** 127) // -1", "2 ** 126 * 2", "2 ** 126 + 2 ** 126",
        "-2 ** 127 - 1", "1e40 | int", "('9' * 50) | int", "(2 ** 126 - 1 + 2 ** 126) + 1",
        "(-2 ** 127) | abs"}) {
    expect_error(std::string("{{ ") + large + " }}", "more than 127 bits");
  }
  EXPECT_EQ(render("{{ (-2 ** 127) % -1 }}"), "0");
  expect_error("{{ " + std::string(50, '9') + " }}", "more than 127 bits");
  expect_error("{{ 2 ** 100 / 3 }}", "the quotient of integers beyond 2^53");
}

TEST(JinjaLimits, RefusesInputThatItCannotKeep) {
  const ChatTemplate chat("{{ x | tojson }}");
  const auto shown = [&](const std::string& json) {
    return chat.render_json(Json::array(), false, {{"x", Json::parse(json)}});
  };
  EXPECT_EQ(shown("[18446744073709551615, -9223372036854775808, 1.5]"),
            "[18446744073709551615, -9223372036854775808, 1.5]");
  EXPECT_THROW(shown("18446744073709551616"), InputError);
  EXPECT_THROW(shown("-9223372036854775809"), InputError);
  EXPECT_THROW(shown(std::string(300, '[') + std::string(300, ']')), InputError);
}

TEST(JinjaLimits, AreThoseThatAreAskedFor) {
  const auto block = jinja::parse("{% for i in range(100) %}{{ 'abc' }}{% endfor %}");
  EXPECT_EQ(jinja::render(block, {}).size(), 300u);
  EXPECT_THROW(jinja::render(block, {}, {.steps = 100}), InputError);
  EXPECT_THROW(jinja::render(block, {}, {.text_bytes = 100}), InputError);
  EXPECT_THROW(jinja::render(block, {}, {.depth = 2}), InputError);
}

TEST(JinjaLimits, TheLineOfTheStatementIsNamed) {
  expect_error("a\n\n{{ missing.x }}",
               "chat template, line 3: \"x\" of undefined variable missing");
}

}  // namespace
}  // namespace weft
