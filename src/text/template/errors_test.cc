// SPDX-License-Identifier: Apache-2.0
//
// What errors say, and where they point.
#include "text/template/test_support.h"

namespace omg::jinja {
namespace {

TEST(TemplateErrors, PointAtTheTemplate) {
  EXPECT_EQ(error_of("{{ a\n}}\n {% nope %}"), "template line 3, column 5: unknown tag 'nope'");
  EXPECT_EQ(error_of("x\n  {{ a b }}"), "template line 2, column 8: expected '}}', got 'b'");
  EXPECT_EQ(error_of("ü {{ 'x }}"), "template line 1, column 6: this string is never closed");
  EXPECT_EQ(error_of("{% if a %}x"),
            "template line 1, column 12: the template ends, but 'endif' is still to come");
  EXPECT_EQ(error_of("\n{{ a | nope }}"),
            "template line 2, column 8: no filter or test named 'nope'");
  EXPECT_EQ(error_of("\xff"), "template line 1, column 1: the template is not valid UTF-8");
}

TEST(TemplateErrors, SayWhyARenderFails) {
  EXPECT_EQ(error_of("\n{{ nope.x }}"), "template line 2: 'nope' is undefined");
  EXPECT_EQ(error_of("{{ d.nope.x }}"), "template line 1: 'dict object' has no attribute 'nope'");
  EXPECT_EQ(error_of("{{ d['nope']() }}"),
            "template line 1: 'dict object' has no attribute 'nope'");
  EXPECT_EQ(error_of("{{ s + 1 }}"),
            "template line 1: can only concatenate str (not \"int\") to str");
  EXPECT_EQ(error_of("{{ l.append(1) }}"),
            "template line 1: access to attribute 'append' of 'list' object is unsafe");
  EXPECT_EQ(error_of("{{ m | map(attribute='role') | tojson }}"),
            "template line 1: object of type generator is not JSON serializable");
  EXPECT_EQ(error_of("{{ 9223372036854775807 + 1 }}"),
            "template line 1: integer overflow: the result does not fit 64 bits");
  EXPECT_EQ(error_of("{% macro f(x) %}{{ x.y }}{% endmacro %}\n{{ f() }}"),
            "template line 1: parameter 'x' was not provided");
}

TEST(TemplateErrors, CarryTheWordsOfRaiseException) {
  EXPECT_EQ(error_of("{{ raise_exception('Roles must alternate: ' ~ s) }}"),
            "Roles must alternate: Hello World");
}

TEST(TemplateErrors, RefuseWhatDoesNotFit64Bits) {
  check_errors({"{{ 9223372036854775808 }}", "{{ 10 ** 19 }}", "{{ '9223372036854775808' | int }}",
                "{{ 1e300 | int }}", "{{ -9223372036854775807 - 2 }}",
                "{{ (-9223372036854775807 - 1) // -1 }}", "{{ 3037000500 * 3037000500 }}"});
}

TEST(ChatTemplate, KeepsItsSource) {
  const auto chat_template = ChatTemplate::parse("a\r\n{{ a }}\n");
  EXPECT_EQ(chat_template.source(), "a\r\n{{ a }}\n");
  EXPECT_EQ(chat_template.render({}), "a\n");
}

TEST(ChatTemplate, RendersManyTimes) {
  const auto chat_template = ChatTemplate::parse(
      "{% set ns = namespace(n=0) %}{% for i in l %}{% set ns.n = ns.n + i %}"
      "{% endfor %}{{ ns.n }}{{ 'x' if ns.n else 'y' }}");
  for (int i = 0; i < 3; ++i) {
    const auto context = parse_json("{\"l\": [1, " + std::to_string(i) + "]}", "context");
    EXPECT_EQ(chat_template.render(context.as_object()), std::to_string(1 + i) + "x");
  }
}

TEST(ChatTemplate, ShowsTheClockWithoutAGivenTime) {
  const std::string year = render("{{ strftime_now('%Y') }}");
  EXPECT_GE(std::stoi(year), 2024);
}

TEST(ChatTemplate, TakesUnsignedNumbers) {
  EXPECT_EQ(
      render("{{ x }} {{ y }}", {}, R"({"x": 9223372036854775807, "y": 18446744073709551615})"),
      "9223372036854775807 1.8446744073709552e+19");
}

}  // namespace
}  // namespace omg::jinja
