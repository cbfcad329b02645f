// SPDX-License-Identifier: Apache-2.0
//
// Filters, tests and global functions: what Jinja2 3.1 prints for each expression.
#include "text/template/test_support.h"

namespace omg::jinja {
namespace {

TEST(TemplateFilters, Sequences) {
  check_expressions({
      {"s|upper", "HELLO WORLD"},
      {"s|lower", "hello world"},
      {"s|title", "Hello World"},
      {"'hello wORLD-foo (bar)'|title", "Hello World-Foo (Bar)"},
      {"s|capitalize", "Hello world"},
      {"u|upper", "ÜNÏ 日本🙂 SS"},
      {"u|lower", "ünï 日本🙂 ß"},
      {"u|capitalize", "Ünï 日本🙂 ß"},
      {"'ΑΣ ΑΣΑ'|lower", "ας ασα"},
      {"s|length", "11"},
      {"s|count", "11"},
      {"s|first", "H"},
      {"s|last", "d"},
      {"l|first", "3"},
      {"l|last", "2"},
      {"[]|first", ""},
      {"[]|last", ""},
      {"s|reverse", "dlroW olleH"},
      {"l|reverse|list", "[2, 1, 3]"},
      {"l|sort", "[1, 2, 3]"},
      {"ls|sort", "['A', 'a', 'b', 'c']"},
      {"ls|sort(case_sensitive=true)", "['A', 'a', 'b', 'c']"},
      {"ls|sort(reverse=true)", "['c', 'b', 'A', 'a']"},
      {"m|sort(attribute='n')|map(attribute='n')|list", "[1, 2, 3]"},
      {"m|sort(attribute='role,n')|map(attribute='n')|join", "123"},
      {"l|sum", "6"},
      {"m|sum(attribute='n')", "6"},
      {"l|sum(start=10)", "16"},
      {"l|min", "1"},
      {"l|max", "3"},
      {"[]|min", ""},
      {"m|max(attribute='n')", "{'role': 'user', 'content': 'hm', 'n': 3, 'tool_calls': []}"},
      {"ls|min", "A"},
      {"ls|max", "c"},
      {"ls|unique|list", "['b', 'A', 'c']"},
      {"[1,1.0,2]|unique|list", "[1, 2]"},
      {"m|unique(attribute='role')|list|length", "2"},
      {"l|join", "312"},
      {"l|join(',')", "3,1,2"},
      {"m|join(',',attribute='role')", "user,assistant,user"},
      {"m|map(attribute='role')|list", "['user', 'assistant', 'user']"},
      {"m|map(attribute='zzz')|list", "[Undefined, Undefined, Undefined]"},
      {"m|map(attribute='zzz',default='D')|list", "['D', 'D', 'D']"},
      {"ls|map('upper')|list", "['B', 'A', 'C', 'A']"},
      {"ls|map('replace','a','q')|join", "bAcq"},
      {"m|selectattr('role','equalto','user')|list|length", "2"},
      {"m|selectattr('tool_calls')|list|length", "0"},
      {"m|selectattr('tool_calls','defined')|list|length", "1"},
      {"m|rejectattr('role','eq','user')|map(attribute='content')|join", "yo"},
      {"l|select('odd')|list", "[3, 1]"},
      {"l|reject('odd')|list", "[2]"},
      {"l|select('gt',1)|list", "[3, 2]"},
      {"l|select|list", "[3, 1, 2]"},
      {"[0,1,'',none]|select|list", "[1]"},
      {"[0,1,'',none]|reject|list", "[0, '', None]"},
      {"none|map('upper')|list", "[]"},
  });
  check_errors({
      "{{ ['a']|sum }}",
      "{{ ls|map('nofilter')|list }}",
      "{{ m|map(attribute='role')|tojson }}",
      "{{ m|map(attribute='role')|length }}",
      "{{ l|select('nope')|list }}",
      "{{ 5|map('upper')|list }}",
  });
}

TEST(TemplateFilters, Groups) {
  check_expressions({
      {"m|groupby('role')",
       "[('assistant', [{'role': 'assistant', 'content': 'yo', 'n': 1}]), ('user', [{'role': "
       "'user', 'content': 'hi', 'n': 2}, {'role': 'user', 'content': 'hm', 'n': 3, 'tool_calls': "
       "[]}])]"},
      {"m|groupby('role')|map(attribute='grouper')|list", "['assistant', 'user']"},
      {"(m|groupby('role'))[0].list|length", "1"},
      {"m|groupby('role')|map('last')|map('length')|list", "[1, 2]"},
      {"m|groupby('zz',default='q')|length", "1"},
      {"l|batch(2)|list", "[[3, 1], [2]]"},
      {"l|batch(2,'x')|list", "[[3, 1], [2, 'x']]"},
      {"l|slice(2)|list", "[[3, 1], [2]]"},
      {"l|slice(2,'x')|list", "[[3, 1], [2, 'x']]"},
      {"[1,2,3,4,5,6,7]|slice(3)|list", "[[1, 2, 3], [4, 5], [6, 7]]"},
      {"d|dictsort", "[('items', 'I'), ('x', 1), ('y', [1, 2]), ('Z', None)]"},
      {"d|dictsort(true)", "[('Z', None), ('items', 'I'), ('x', 1), ('y', [1, 2])]"},
      {"{'b':1,'A':2,'c':0}|dictsort(by='value')", "[('c', 0), ('b', 1), ('A', 2)]"},
      {"{'b':1,'A':2,'c':0}|dictsort(reverse=true)", "[('c', 0), ('b', 1), ('A', 2)]"},
      {"d|items|list", "[('x', 1), ('y', [1, 2]), ('items', 'I'), ('Z', None)]"},
      {"undef|items|list", "[]"},
      {"d|list", "['x', 'y', 'items', 'Z']"},
      {"d|length", "4"},
      {"d|first", "x"},
      {"d|last", "Z"},
      {"s|list", "['H', 'e', 'l', 'l', 'o', ' ', 'W', 'o', 'r', 'l', 'd']"},
  });
  check_errors({
      "{{ d|dictsort(false,'value') }}",
      "{{ 5|items|list }}",
      "{{ 5|list }}",
      "{{ none|list }}",
      "{{ none|length }}",
      "{{ 5|length }}",
  });
}

TEST(TemplateFilters, Numbers) {
  check_expressions({
      {"5|abs", "5"},
      {"neg|abs", "7"},
      {"-2.5|abs", "2.5"},
      {"'42'|int", "42"},
      {"'42.9'|int", "42"},
      {"'x'|int", "0"},
      {"'x'|int(7)", "7"},
      {"'ff'|int(0,16)", "255"},
      {"'0xff'|int(0,16)", "255"},
      {"'0b11'|int(0,0)", "3"},
      {"3.9|int", "3"},
      {"-3.9|int", "-3"},
      {"none|int", "0"},
      {"true|int", "1"},
      {"[] | int", "0"},
      {"'1_000'|int", "1000"},
      {"' 5 '|int", "5"},
      {"'inf'|int", "0"},
      {"'nan'|float", "nan"},
      {"'inf'|float", "inf"},
      {"'1e3'|float", "1000.0"},
      {"'x'|float", "0.0"},
      {"'x'|float(2)", "2"},
      {"'3.5'|float", "3.5"},
      {"2.5|round", "2.0"},
      {"3.5|round", "4.0"},
      {"2.567|round(2)", "2.57"},
      {"2.5|round(0,'ceil')", "3.0"},
      {"2.1|round(0,'floor')", "2.0"},
      {"1234|round(-2)", "1200"},
      {"1250.0|round(-2)", "1200.0"},
      {"5|round", "5"},
      {"2.675|round(2)", "2.67"},
      {"2.555|round(1,'ceil')", "2.6"},
      {"1000|filesizeformat", "1.0 kB"},
      {"1|filesizeformat", "1 Byte"},
      {"123456789|filesizeformat", "123.5 MB"},
      {"123456789|filesizeformat(true)", "117.7 MiB"},
      {"500|filesizeformat", "500 Bytes"},
      {"1e30|filesizeformat", "1000000.0 YB"},
  });
  check_errors({
      "{{ s|abs }}",
      "{{ 2.5|round(method='bad') }}",
  });
}

TEST(TemplateFilters, Text) {
  check_expressions({
      {"s|replace('o','0')", "Hell0 W0rld"},
      {"s|replace('o','0',1)", "Hell0 World"},
      {"s|replace('','-')", "-H-e-l-l-o- -W-o-r-l-d-"},
      {"s|replace('l','')", "Heo Word"},
      {"5|replace('5','6')", "6"},
      {"u|replace('日','X')", "ünï X本🙂 ß"},
      {"s|center(20)", "    Hello World     "},
      {"s|center(21)|length", "21"},
      {"'ab'|center(5)", "  ab "},
      {"'  x '|trim", "x"},
      {"'xxaxx'|trim('x')", "a"},
      {"s|truncate(8)", "Hello World"},
      {"s|truncate(5)", "He..."},
      {"'foo bar baz qux'|truncate(9)", "foo..."},
      {"'foo bar baz qux'|truncate(9,true)", "foo ba..."},
      {"'foo bar baz qux'|truncate(11)", "foo bar baz qux"},
      {"'foo bar baz qux'|truncate(11,leeway=0)", "foo bar..."},
      {"'foo bar baz qux'|truncate(9,false,'…',0)", "foo bar…"},
      {"'a\\nb\\n\\nc'|indent", "a\n    b\n\n    c"},
      {"'a\\nb\\n\\nc'|indent(2,true)", "  a\n  b\n\n  c"},
      {"'a\\nb\\n\\nc'|indent(2,true,true)", "  a\n  b\n  \n  c"},
      {"'a\\nb'|indent('>>')", "a\n>>b"},
      {"'a\\n'|indent", "a\n"},
      {"''|indent(first=true)", "    "},
      {"s|wordcount", "2"},
      {"u|wordcount", "3"},
      {"'a_b-c d'|wordcount", "3"},
      {"h|e", "&lt;a href=&#39;x&#39;&gt;&amp;amp; &#34;q&#34;&lt;/a&gt;"},
      {"h|escape", "&lt;a href=&#39;x&#39;&gt;&amp;amp; &#34;q&#34;&lt;/a&gt;"},
      {"h|striptags", "& \"q\""},
      {"h|forceescape", "&lt;a href=&#39;x&#39;&gt;&amp;amp; &#34;q&#34;&lt;/a&gt;"},
      {"5|e", "5"},
      {"none|e", "None"},
      {"s|urlencode", "Hello%20World"},
      {"u|urlencode", "%C3%BCn%C3%AF%20%E6%97%A5%E6%9C%AC%F0%9F%99%82%20%C3%9F"},
      {"'a/b c?d=e&f'|urlencode", "a/b%20c%3Fd%3De%26f"},
      {"d|urlencode", "x=1&y=%5B1%2C+2%5D&items=I&Z=None"},
      {"[('a b','c/d')]|urlencode", "a+b=c%2Fd"},
      {"{'class':'a b','id':none,'q':'<'}|xmlattr", " class=\"a b\" q=\"&lt;\""},
      {"{}|xmlattr", ""},
      {"{'a':1}|xmlattr(false)", "a=\"1\""},
      {"'the quick brown fox jumps over the lazy dog'|wordwrap(10)",
       "the quick\nbrown fox\njumps over\nthe lazy\ndog"},
      {"'averyveryverylongwordindeed yes'|wordwrap(10)", "averyveryv\nerylongwor\ndindeed\nyes"},
      {"'averyveryverylongwordindeed yes'|wordwrap(10,false)", "averyveryverylongwordindeed\nyes"},
      {"'well-known foo-bar-baz x'|wordwrap(8)", "well-\nknown\nfoo-bar-\nbaz x"},
      {"'a b c\\n\\nd  e   f g h'|wordwrap(4)", "a b\nc\n\nd  e\nf g\nh"},
      {"'aa bbbbbbbbbbbb c'|wordwrap(5)", "aa bb\nbbbbb\nbbbbb\nc"},
  });
  check_errors({
      "{{ s|truncate(1) }}",
      "{{ undef|indent }}",
      "{{ {'a b':1}|xmlattr }}",
  });
}

TEST(TemplateFilters, Tests) {
  check_expressions({
      {"s is string", "True"},
      {"a is number", "True"},
      {"t is number", "True"},
      {"t is integer", "False"},
      {"a is integer", "True"},
      {"b is float", "True"},
      {"t is boolean", "True"},
      {"l is sequence", "True"},
      {"d is mapping", "True"},
      {"l is iterable", "True"},
      {"a is iterable", "False"},
      {"s is sequence", "True"},
      {"d is sequence", "True"},
      {"n is none", "True"},
      {"f is false", "True"},
      {"t is true", "True"},
      {"a is odd", "True"},
      {"a is even", "False"},
      {"4 is divisibleby 2", "True"},
      {"4 is divisibleby(3)", "False"},
      {"a is eq 1", "True"},
      {"a is not eq 1", "False"},
      {"a is in l", "True"},
      {"a is in(l)", "True"},
      {"s is lower", "False"},
      {"'ab' is lower", "True"},
      {"'AB' is upper", "True"},
      {"a is sameas 1", "True"},
      {"n is sameas none", "True"},
      {"1 is sameas true", "False"},
      {"'x' is filter", "False"},
      {"'upper' is filter", "True"},
      {"'odd' is test", "True"},
      {"a is not defined", "False"},
      {"a is defined and b is defined", "True"},
      {"s is callable", "False"},
      {"raise_exception is callable", "True"},
      {"s is escaped", "False"},
      {"3 is ge 3", "True"},
      {"3 is gt 3", "False"},
      {"3 is lt 4", "True"},
      {"3 is le 2", "False"},
      {"3 is ne 3", "False"},
      {"3 is greaterthan 2", "True"},
      {"3 is lessthan 2", "False"},
      {"3 is equalto 3", "True"},
  });
  check_errors({
      "{{ a is nope }}",
      "{{ a | nope }}",
      "{{ 'x' if false else 'y' | nope }}",
  });
}

TEST(TemplateFilters, Dates) {
  check_expressions({
      {"strftime_now('%d %b %Y')", "31 Jan 2026"},
      {"strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %U %W %V %G %u %w %p %I %y %e %-d %-m %c %x %X %D "
       "%F %T %R %%')",
       "2026-01-31 12:00:00 Saturday January 031 04 04 05 2026 6 6 PM 12 26 31 31 1 Sat Jan 31 "
       "12:00:00 2026 01/31/26 12:00:00 01/31/26 2026-01-31 12:00:00 12:00 %"},
      {"strftime_now('%Q %')", "%Q %"},
  });
}

TEST(TemplateFilters, Globals) {
  check_expressions({
      {"range is defined", "True"},
      {"loop", ""},
      {"loop is defined", "False"},
      {"caller is defined", "False"},
      {"varargs is defined", "False"},
      {"_ is defined", "False"},
  });
  check_errors({
      "{{ raise_exception('boom') }}",
      "{{ raise_exception() }}",
  });
}

}  // namespace
}  // namespace omg::jinja
