// SPDX-License-Identifier: Apache-2.0
//
// Templates that want too much: each must end with kLimitExceeded soon and without taking memory.
#include <ctime>
#include <sys/resource.h>

#include "base/heap.h"
#include "text/template/test_support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OMG_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OMG_TEST_SANITIZED 1
#endif
#endif
#ifndef OMG_TEST_SANITIZED
#define OMG_TEST_SANITIZED 0
#endif

namespace omg::jinja {
namespace {

/// A text that repeats.
std::string times(size_t count, std::string_view text) {
  std::string result;
  for (size_t i = 0; i < count; ++i) result += text;
  return result;
}

long peak_kilobytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

/// Sanitizers slow a render down some ten times, so it gets a tenth of the steps there.
RenderOptions default_options() {
  RenderOptions options;
  if (OMG_TEST_SANITIZED) options.max_steps /= 10;
  return options;
}

void expect_limit(std::string_view source, const RenderOptions& options = default_options()) {
  const auto shown = source.substr(0, 200);
  const std::clock_t start = std::clock();
  try {
    render(source, options);
    ADD_FAILURE() << "no error: " << shown;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kLimitExceeded) << shown << "\n" << error.what();
  }
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  // A second is promised; the slowest took 0.5 s of processor time on a machine that did nothing
  // else, and those that run tests are often busy.
  EXPECT_LT(seconds, OMG_TEST_SANITIZED ? 60.0 : 3.0) << shown;
  return_free_memory();  // what the allocator keeps must not count for the next template
}

TEST(TemplateLimits, EndsHostileTemplates) {
  const long before = peak_kilobytes();
  const std::string kDouble =
      "{% set ns = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(99) %}";
  const std::string_view kSources[] = {
      "{{ 'a' * 10**9 }}",
      "{{ 10**9 * 'a' }}",
      "{{ 'ab' * 9223372036854775807 }}",
      "{{ [1] * 10**9 }}",
      "{{ [1, 2, 3] * 9223372036854775807 }}",
      "{{ range(10**12) }}",
      "{{ range(-9223372036854775807, 9223372036854775807) }}",
      "{{ 'x'.center(10**9) }}",
      "{{ 'x'.ljust(10**10) }}",
      "{{ 'x'.zfill(10**10) }}",
      "{{ '%1000000000d' % 5 }}",
      "{{ '%*d' % (10**9, 5) }}",
      "{{ '{:>1000000000}'.format(5) }}",
      "{{ 'a\tb'.expandtabs(10**10) }}",
      "{{ 'x' | indent(10**10, true) }}",
      "{{ [1] | tojson(indent=10**10) }}",
      "{{ [1] | batch(10**10, 0) | list }}",
      "{{ [1] | slice(10**10) | list }}",
      "{{ ('a' * 10**6).replace('', 'b' * 10**6) }}",
      "{{ ('b' * 10**6).join(range(1000) | map('string')) }}",
      "{{ ('a,' * 10**7).split(',') }}",
      "{{ ('a\n' * 10**7).splitlines() }}",
      "{{ ('a' * 10**7) | list }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}",
      "{% for i in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
      "{% set ns = namespace(l=[]) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}"
      "{{ ns.l }}",
      "{% set ns = namespace(l=[]) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}"
      "{{ ns.l | tojson }}",
      "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}",
      "{% set ns = namespace(g='a') %}{% for i in range(3000) %}"
      "{% set ns.g = ns.g | map('upper') %}{% endfor %}{{ ns.g | list }}",
      "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
      "{% for i in range(99) %}{{ 'x' * 10**6 }}{% endfor %}",
      "{% set x %}{% for i in range(99) %}{{ 'x' * 10**6 }}{% endfor %}{% endset %}",
      "{% set ns = namespace(l=[0]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% "
      "endfor %}",
      "{% set ns = namespace(l=[0]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% "
      "endfor %}"
      "{{ ns.l == [] }}{{ ns.l }}",
      "{% set x = 'a' * 10**6 %}{% for i in range(100000) %}{{ x.count('b') }}{% endfor %}",
      "{% set x = 'a' * 10**6 %}{% for i in range(100000) %}{{ 'b' in x }}{% endfor %}",
      "{% set x = 'a' * 10**6 %}{% for i in range(100000) %}{{ x.find('a' * 900 ~ 'b') }}{% endfor "
      "%}",
      "{% set x = 'é' * 10**6 %}{% for i in range(100000) %}{{ x[-1] }}{% endfor %}",
      "{% set x = 'é' * 10**6 %}{% for i in range(100000) %}{{ x.upper()|length }}{% endfor %}",
      "{% set x = range(100000)|list %}{% for i in range(100000) %}{{ -1 in x }}{% endfor %}",
      "{% set x = range(100000)|list %}{% for i in range(100000) %}{{ x|sort|length }}{% endfor %}",
      "{% set x = range(100000)|list %}{% for i in range(100000) %}{{ x == x[:] }}{% endfor %}",
      "{% macro f() %}{{ f(*varargs) }}{% endmacro %}{{ f(*range(100000)) }}",
      "{{ strftime_now('%c' * 10**7) }}",
      "{{ raise_exception('a' * 10**9) }}",
  };
  for (const std::string_view source : kSources) expect_limit(source);
  expect_limit(kDouble + "{% set ns.s = ns.s + ns.s %}{% endfor %}");
  expect_limit(kDouble + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}");
  expect_limit(kDouble + "{% set ns.s = ns.s | replace('a', 'aa') %}{% endfor %}");
  expect_limit(kDouble + "{% set ns.s = [ns.s, ns.s] | join %}{% endfor %}");
  expect_limit(kDouble + "{% set ns.s = ns.s | tojson %}{% endfor %}{{ ns.s | e | e | e | e }}" +
               kDouble + "{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}");
  if (!OMG_TEST_SANITIZED) {
    EXPECT_LT(peak_kilobytes() - before,
              128 * 1024);  // twice the limit: the allocator keeps freed blocks
  }
}

TEST(TemplateLimits, RefusesDeepNesting) {
  for (const std::string_view open : {"(", "[", "-", "not ", "{1:", "a[", "a(", "1 if "}) {
    const std::string source = "{{ " + times(50'000, open);
    EXPECT_NE(error_of(source), "") << open;
  }
  for (const std::string_view open : {"{% if a %}", "{% for i in l %}", "{% macro f() %}",
                                      "{% with %}", "{% filter upper %}", "{% set x %}"}) {
    EXPECT_NE(error_of(times(10'000, open)), "") << open;
  }
  EXPECT_NE(error_of("{% set " + times(50'000, "(") + "x"), "");
  expect_limit("{{ a" + times(3'000, "|string") + " }}");
  EXPECT_NE(error_of("{{ a" + times(50'000, ".x") + " }}"), "");
}

TEST(TemplateLimits, TakesLongChains) {
  EXPECT_EQ(render("{{ 0" + times(3'000, " + 1") + " }}"), "3000");
  EXPECT_EQ(render("{{ 'a'" + times(20'000, " ~ 'a'") + " }}"), times(20'001, "a"));
  EXPECT_EQ(render("{{ 0" + times(20'000, " or 0") + " or 5 }}"), "5");
  EXPECT_EQ(render("{% if z %}" + times(20'000, "{% elif z %}") + "{% else %}x{% endif %}"), "x");
}

TEST(TemplateLimits, RefusesLongTemplates) {
  expect_limit(times(2u << 20, "a"));
}

TEST(TemplateLimits, HonoursOptions) {
  RenderOptions few_steps;
  few_steps.max_steps = 100;
  expect_limit("{% for i in range(100) %}{% endfor %}", few_steps);
  RenderOptions little_output;
  little_output.max_output_bytes = 10;
  expect_limit("01234567890", little_output);
  EXPECT_EQ(render("0123456789", little_output), "0123456789");
  RenderOptions little_memory;
  little_memory.max_memory_bytes = 10'000;
  expect_limit("{{ 'a' * 20000 }}", little_memory);
}

TEST(TemplateLimits, DoesNotCountTheContext) {
  const std::string text(1u << 20, 'x');
  RenderOptions options;
  options.max_memory_bytes = 100'000;
  const std::string context = "{\"s\": \"" + text + "\"}";
  EXPECT_EQ(render("{{ s | length }}", options, context), "1048576");
}

TEST(TemplateLimits, SpreadsKeysThatAreMultiples) {
  // Without mixing, 100 000 multiples of 2^32 would take 5 * 10^9 comparisons.
  EXPECT_EQ(render("{{ range(0, 429496729600000, 4294967296) | list | unique | list | length }}"),
            "100000");
}

TEST(TemplateLimits, SurvivesExtremeNumbers) {
  const std::string setup = "{% set low = -9223372036854775807 - 1 %}";
  EXPECT_EQ(render(setup + "{{ 'x'.center(low) }}{{ 'x'.zfill(low) }}{{ 'abc'[low:] }}"), "xxabc");
  EXPECT_EQ(render(setup + "{{ 1.5 | round(low) }}{{ 'abc'[::low] }}{{ [1][::low] }}"), "0.0c[1]");
  EXPECT_EQ(render("{{ range(5, 6, 9223372036854775807)[::2] | list }}"), "[5]");
  EXPECT_EQ(render("{{ range(5, 6, 9223372036854775807) }}"), "range(5, 6, 9223372036854775807)");
  EXPECT_EQ(render(setup + "{{ 'abc'.find('c', low) }}{{ [1].index(1, low) }}"), "20");
  EXPECT_NE(error_of(setup + "{{ '%*d' % (low, 1) }}"), "");
  EXPECT_NE(error_of(setup + "{{ low | abs }}"), "");
}

TEST(TemplateLimits, FreesCycles) {
  // Leaks would show under the address sanitizer.
  EXPECT_EQ(
      render("{% set ns = namespace() %}{% set ns.me = ns %}{% for i in l %}"
             "{% macro f() %}{{ i }}{% endmacro %}{% set ns.f = f %}{% endfor %}{{ ns.f() }}"),
      "2");
}

}  // namespace
}  // namespace omg::jinja
