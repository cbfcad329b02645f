// SPDX-License-Identifier: Apache-2.0
//
// Text formatting: the % operator, str.format, and tojson as transformers defines it, against
// what Python prints.
#include "text/template/test_support.h"

namespace omg::jinja {
namespace {

TEST(TemplateFormat, Percent) {
  check_expressions({
      {"'%s-%d-%5.2f|%-5s|%05d|%x|%X|%o|%e|%g|%c|%%|%r'|format('a',3,2.5,'b',42,255,255,8,12345."
       "678,0.0001,'z','q')",
       "a-3- 2.50|b    |00042|ff|FF|10|1.234568e+04|0.0001|z|%|'q'"},
      {"'%(a)s %(b)d'|format(a=1,b=2)", "1 2"},
      {"'%s' % 5", "5"},
      {"'%s %s' % (1,2)", "1 2"},
      {"'%s' % [1,2]", "[1, 2]"},
      {"'%s' % {'a':1}", "{'a': 1}"},
      {"'%(a)s' % {'a':1}", "1"},
      {"'%d' % 3.9", "3"},
      {"'%i' % true", "1"},
      {"'%+d % d' % (3,4)", "+3  4"},
      {"'%#x' % 255", "0xff"},
      {"'%.3s' % 'abcdef'", "abc"},
      {"'%*d' % (5,3)", "    3"},
      {"'%5s|%-5s|' % ('é','é')", "    é|é    |"},
      {"'%.0f' % 2.5", "2"},
      {"'%s' % undef", ""},
      {"'%s' % none", "None"},
  });
  check_errors({
      "{{ '%s'|format }}",
      "{{ '%d'|format('x') }}",
      "{{ '%s %s'|format(1) }}",
      "{{ '%s'|format(1,2) }}",
      "{{ '%(q)s' % {'a':1} }}",
      "{{ '%z' % 3 }}",
      "{{ '%' % 1 }}",
      "{{ '100%' % () }}",
  });
}

TEST(TemplateFormat, Braces) {
  check_expressions({
      {"'{}'.format(1)", "1"},
      {"'{} {}'.format(1,2)", "1 2"},
      {"'{0} {1} {0}'.format(1,2)", "1 2 1"},
      {"'{a} {b}'.format(a=1,b='x')", "1 x"},
      {"'{:>5}|{:<5}|{:^5}|'.format(1,2,3)", "    1|2    |  3  |"},
      {"'{:05d}'.format(42)", "00042"},
      {"'{:.2f}'.format(3.14159)", "3.14"},
      {"'{:,}'.format(1234567)", "1,234,567"},
      {"'{:_}'.format(1234567)", "1_234_567"},
      {"'{:x} {:X} {:#x} {:b} {:o} {:c}'.format(255,255,255,5,8,65)", "ff FF 0xff 101 10 A"},
      {"'{:e} {:g} {:%}'.format(1234.5,0.00001,0.25)", "1.234500e+03 1e-05 25.000000%"},
      {"'{!r} {!s}'.format('a','b')", "'a' b"},
      {"'{0[x]} {0[y][1]}'.format(d)", "1 2"},
      {"'{0.x}'.format(d)", "1"},
      {"'{{}}'.format()", "{}"},
      {"'{:>{w}}'.format(1,w=5)", "    1"},
      {"'{:*^10}'.format('hi')", "****hi****"},
      {"'{:+} {: }'.format(3,4)", "+3  4"},
      {"'{:s}'.format('x')", "x"},
      {"'{:.3}'.format('abcdef')", "abc"},
      {"'{:.3}'.format(3.14159)", "3.14"},
      {"'{:10.3f}|'.format(2.0)", "     2.000|"},
      {"'{:<10}|'.format(true)", "1         |"},
      {"'{:d}'.format(true)", "1"},
      {"'{}'.format(none)", "None"},
      {"'{}'.format([1,'a'])", "[1, 'a']"},
      {"'{0.__class__}'.format(1)", ""},
      {"'{a}'.format_map({'a':5})", "5"},
      {"'{:n}'.format(5)", "5"},
      {"'{:.1%}'.format(0.123)", "12.3%"},
      {"'{:g}'.format(1e20)", "1e+20"},
      {"'{:G}'.format(1e-20)", "1E-20"},
      {"'{:.0f}'.format(0.5)", "0"},
      {"'{:08.3f}'.format(-3.14159)", "-003.142"},
      {"'{:=+6d}'.format(4)", "+    4"},
      {"'{:e}'.format(5)", "5.000000e+00"},
  });
  check_errors({
      "{{ '{'.format() }}",
      "{{ '}'.format() }}",
      "{{ '{}'.format() }}",
      "{{ '{x}'.format() }}",
      "{{ '{:d}'.format('x') }}",
      "{{ '{:s}'.format(3) }}",
      "{{ '{:5}'.format(none) }}",
      "{{ '{:5}'.format([]) }}",
  });
}

TEST(TemplateFormat, Json) {
  check_expressions({
      {"d|tojson", "{\"x\": 1, \"y\": [1, 2], \"items\": \"I\", \"Z\": null}"},
      {"m|tojson",
       "[{\"role\": \"user\", \"content\": \"hi\", \"n\": 2}, {\"role\": \"assistant\", "
       "\"content\": \"yo\", \"n\": 1}, {\"role\": \"user\", \"content\": \"hm\", \"n\": 3, "
       "\"tool_calls\": []}]"},
      {"m|tojson(indent=2)",
       "[\n  {\n    \"role\": \"user\",\n    \"content\": \"hi\",\n    \"n\": 2\n  },\n  {\n    "
       "\"role\": \"assistant\",\n    \"content\": \"yo\",\n    \"n\": 1\n  },\n  {\n    \"role\": "
       "\"user\",\n    \"content\": \"hm\",\n    \"n\": 3,\n    \"tool_calls\": []\n  }\n]"},
      {"d|tojson(indent=0)",
       "{\n\"x\": 1,\n\"y\": [\n1,\n2\n],\n\"items\": \"I\",\n\"Z\": null\n}"},
      {"d|tojson(separators=(',',':'))", "{\"x\":1,\"y\":[1,2],\"items\":\"I\",\"Z\":null}"},
      {"{'b':1,'a':2}|tojson(sort_keys=true)", "{\"a\": 2, \"b\": 1}"},
      {"u|tojson", "\"ünï 日本🙂 ß\""},
      {"u|tojson(ensure_ascii=true)", "\"\\u00fcn\\u00ef \\u65e5\\u672c\\ud83d\\ude42 \\u00df\""},
      {"h|tojson", "\"<a href='x'>&amp; \\\"q\\\"</a>\""},
      {"'\\x00\\x1f\\x7f\\u2028'|tojson", "\"\\u0000\\u001f\177\342\200\250\""},
      {"'\\x7f'|tojson(ensure_ascii=true)", "\"\\u007f\""},
      {"1.0|tojson", "1.0"},
      {"1e100|tojson", "1e+100"},
      {"1e400|tojson", "Infinity"},
      {"none|tojson", "null"},
      {"true|tojson", "true"},
      {"(1,2)|tojson", "[1, 2]"},
      {"[]|tojson", "[]"},
      {"{}|tojson", "{}"},
      {"[[]]|tojson(indent=2)", "[\n  []\n]"},
      {"[{}]|tojson(indent=2)", "[\n  {}\n]"},
      {"{1:2,none:3,true:4,1.5:5}|tojson", "{\"1\": 4, \"null\": 3, \"1.5\": 5}"},
      {"m|tojson(indent='  ')",
       "[\n  {\n    \"role\": \"user\",\n    \"content\": \"hi\",\n    \"n\": 2\n  },\n  {\n    "
       "\"role\": \"assistant\",\n    \"content\": \"yo\",\n    \"n\": 1\n  },\n  {\n    \"role\": "
       "\"user\",\n    \"content\": \"hm\",\n    \"n\": 3,\n    \"tool_calls\": []\n  }\n]"},
      {"m|tojson(4)",
       "[{\"role\": \"user\", \"content\": \"hi\", \"n\": 2}, {\"role\": \"assistant\", "
       "\"content\": \"yo\", \"n\": 1}, {\"role\": \"user\", \"content\": \"hm\", \"n\": 3, "
       "\"tool_calls\": []}]"},
      {"m|tojson(True,2)",
       "[\n  {\n    \"role\": \"user\",\n    \"content\": \"hi\",\n    \"n\": 2\n  },\n  {\n    "
       "\"role\": \"assistant\",\n    \"content\": \"yo\",\n    \"n\": 1\n  },\n  {\n    \"role\": "
       "\"user\",\n    \"content\": \"hm\",\n    \"n\": 3,\n    \"tool_calls\": []\n  }\n]"},
      {"m|tojson(indent=2,separators=(',',': '),sort_keys=True,ensure_ascii=False)",
       "[\n  {\n    \"content\": \"hi\",\n    \"n\": 2,\n    \"role\": \"user\"\n  },\n  {\n    "
       "\"content\": \"yo\",\n    \"n\": 1,\n    \"role\": \"assistant\"\n  },\n  {\n    "
       "\"content\": \"hm\",\n    \"n\": 3,\n    \"role\": \"user\",\n    \"tool_calls\": []\n  "
       "}\n]"},
  });
  check_errors({
      "{{ range(3)|tojson }}",
      "{{ d.items()|tojson }}",
      "{{ undef|tojson }}",
      "{{ namespace(a=1)|tojson }}",
      "{{ {(1,2):3}|tojson }}",
  });
}

}  // namespace
}  // namespace omg::jinja
