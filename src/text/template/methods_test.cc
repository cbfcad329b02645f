// SPDX-License-Identifier: Apache-2.0
//
// Methods of Python's types, attributes, and what the sandbox denies.
#include "text/template/test_support.h"

namespace omg::jinja {
namespace {

TEST(TemplateMethods, Case) {
  check_expressions({
      {"s.upper()", "HELLO WORLD"},
      {"s.lower()", "hello world"},
      {"s.title()", "Hello World"},
      {"\"they're bill's\".title()", "They'Re Bill'S"},
      {"s.capitalize()", "Hello world"},
      {"s.swapcase()", "hELLO wORLD"},
      {"u.casefold()", "ünï 日本🙂 ss"},
      {"'ß'.upper()", "SS"},
      {"'ǆ'.title()", "ǅ"},
  });
}

TEST(TemplateMethods, StripAndSplit) {
  check_expressions({
      {"s.strip()", "Hello World"},
      {"'  a b '.strip()", "a b"},
      {"'  a b '.lstrip()", "a b "},
      {"'  a b '.rstrip()", "  a b"},
      {"'xxaxx'.strip('x')", "a"},
      {"'abcba'.strip('ab')", "c"},
      {"'xyz'.lstrip('yx')", "z"},
      {"'x'.strip(none)", "x"},
      {"s.split()", "['Hello', 'World']"},
      {"s.split('o')", "['Hell', ' W', 'rld']"},
      {"s.split('o',1)", "['Hell', ' World']"},
      {"s.rsplit('o',1)", "['Hello W', 'rld']"},
      {"s.split('o',maxsplit=1)", "['Hell', ' World']"},
      {"' a  b '.split(' ')", "['', 'a', '', 'b', '']"},
      {"' a  b '.split()", "['a', 'b']"},
      {"' a  b c '.split(none,1)", "['a', 'b c ']"},
      {"' a  b c '.rsplit(none,1)", "[' a  b', 'c']"},
      {"''.split()", "[]"},
      {"''.split(',')", "['']"},
      {"'a,b,c'.split(',',-1)", "['a', 'b', 'c']"},
      {"'aXXbXXc'.split('XX')", "['a', 'b', 'c']"},
      {"'a\\nb\\r\\nc\\x0bd\\u2028e'.splitlines()", "['a', 'b', 'c', 'd', 'e']"},
      {"'a\\nb\\n'.splitlines(true)", "['a\\n', 'b\\n']"},
      {"''.splitlines()", "[]"},
      {"s.partition(' ')", "('Hello', ' ', 'World')"},
      {"s.partition('q')", "('Hello World', '', '')"},
      {"s.rpartition('o')", "('Hello W', 'o', 'rld')"},
      {"s.rpartition('q')", "('', '', 'Hello World')"},
  });
  check_errors({
      "{{ 'x'.strip(5) }}",
      "{{ 'abc'.split('') }}",
  });
}

TEST(TemplateMethods, Search) {
  check_expressions({
      {"s.find('o')", "4"},
      {"s.find('o',5)", "7"},
      {"s.find('q')", "-1"},
      {"s.rfind('o')", "7"},
      {"s.index('o')", "4"},
      {"s.rindex('o')", "7"},
      {"u.find('日')", "4"},
      {"u.find('日',2,6)", "4"},
      {"u.find('日',-100)", "4"},
      {"u.rfind('n')", "1"},
      {"s.count('o')", "2"},
      {"s.count('')", "12"},
      {"s.count('o',5)", "1"},
      {"'aaaa'.count('aa')", "2"},
      {"s.startswith('He')", "True"},
      {"s.startswith(('x','H'))", "True"},
      {"s.startswith('l',2)", "True"},
      {"s.endswith('ld')", "True"},
      {"s.endswith(('a','d'))", "True"},
      {"s.endswith('W',0,7)", "True"},
      {"s.replace('o','0')", "Hell0 W0rld"},
      {"s.replace('o','0',1)", "Hell0 World"},
      {"s.replace('','-')", "-H-e-l-l-o- -W-o-r-l-d-"},
      {"''.replace('','x')", "x"},
      {"s.removeprefix('Hel')", "lo World"},
      {"s.removesuffix('ld')", "Hello Wor"},
      {"s.removeprefix('x')", "Hello World"},
  });
  check_errors({
      "{{ s.index('q') }}",
      "{{ s.startswith(5) }}",
      "{{ s.startswith([]) }}",
      "{{ s.replace('o') }}",
  });
}

TEST(TemplateMethods, Build) {
  check_expressions({
      {"','.join(ls)", "b,A,c,a"},
      {"','.join('abc')", "a,b,c"},
      {"''.join([])", ""},
      {"'-'.join(d)", "x-y-items-Z"},
      {"'ab'.center(5)", "  ab "},
      {"'ab'.center(5,'*')", "**ab*"},
      {"'abc'.center(6,'*')", "*abc**"},
      {"'ab'.ljust(5,'.')", "ab..."},
      {"'ab'.rjust(5,'.')", "...ab"},
      {"'42'.zfill(5)", "00042"},
      {"'-42'.zfill(5)", "-0042"},
      {"'+4'.zfill(4)", "+004"},
      {"'a\\tb'.expandtabs()", "a       b"},
      {"'a\\tb'.expandtabs(4)", "a   b"},
  });
  check_errors({
      "{{ ','.join(l) }}",
      "{{ 'ab'.ljust(5,'..') }}",
  });
}

TEST(TemplateMethods, Classes) {
  check_expressions({
      {"'abc'.isalpha()", "True"},
      {"'ab1'.isalpha()", "False"},
      {"'ab1'.isalnum()", "True"},
      {"'12'.isdigit()", "True"},
      {"'²'.isdigit()", "True"},
      {"'²'.isdecimal()", "False"},
      {"'½'.isnumeric()", "True"},
      {"'½'.isdigit()", "False"},
      {"' '.isspace()", "True"},
      {"''.isspace()", "False"},
      {"'abc'.islower()", "True"},
      {"'aBc'.islower()", "False"},
      {"'a1'.islower()", "True"},
      {"'1'.islower()", "False"},
      {"'ABC'.isupper()", "True"},
      {"'Hello World'.istitle()", "True"},
      {"'Hello world'.istitle()", "False"},
      {"'abc'.isidentifier()", "True"},
      {"'1a'.isidentifier()", "False"},
      {"'é'.isascii()", "False"},
      {"'e'.isascii()", "True"},
      {"'a\\n'.isprintable()", "False"},
      {"'abc'.isprintable()", "True"},
      {"'abc'.nope", ""},
  });
  check_errors({
      "{{ 'abc'.nope() }}",
  });
}

TEST(TemplateMethods, Collections) {
  check_expressions({
      {"s.__class__", ""},
      {"l.append", ""},
      {"l.append is defined", "False"},
      {"l.index(1)", "1"},
      {"l.count(3)", "1"},
      {"l.copy()", "[3, 1, 2]"},
      {"(1,2).index(2)", "1"},
      {"(1,1).count(1)", "2"},
      {"d.copy()", "{'x': 1, 'y': [1, 2], 'items': 'I', 'Z': None}"},
      {"d.fromkeys([1,2])", "{1: None, 2: None}"},
      {"l.nope", ""},
      {"a.bit_length()", "1"},
      {"b.is_integer()", "False"},
      {"4.0.is_integer()", "True"},
      {"d._x", ""},
      {"d.__x", ""},
      {"n.x", ""},
      {"a.x", ""},
      {"t.x", ""},
      {"d|attr('x')", ""},
      {"(d|attr('get'))('x')", "1"},
      {"s|attr('__class__')", ""},
      {"d['get']('x')", "1"},
      {"d['__class__']", ""},
      {"l['append']", ""},
  });
  check_errors({
      "{{ s.__class__.__mro__ }}",
      "{{ l.append(1) }}",
      "{{ l.pop() }}",
      "{{ d.update({}) }}",
      "{{ d.pop('x') }}",
      "{{ d.setdefault('q',1) }}",
      "{{ d.clear() }}",
      "{{ l.sort() }}",
      "{{ l.index(9) }}",
      "{{ l.nope() }}",
      "{{ n.x.y }}",
      "{{ undef|attr('x') }}",
  });
}

TEST(TemplateMethods, Objects) {
  check_expressions({
      {"namespace(a=1).a", "1"},
      {"namespace(a=1).b", ""},
      {"namespace({'a':1}).a", "1"},
      {"namespace(a=1)['a']", "1"},
      {"namespace(a=1)", "<Namespace {'a': 1}>"},
      {"dict(a=1,b=2)", "{'a': 1, 'b': 2}"},
      {"dict({'a':1},b=2)", "{'a': 1, 'b': 2}"},
      {"dict([('a',1)])", "{'a': 1}"},
      {"joiner()()~'x'", "x"},
      {"cycler(1,2).next()", "1"},
      {"cycler(1,2).current", "1"},
  });
  check_errors({
      "{{ namespace(1) }}",
      "{{ dict(1) }}",
      "{{ cycler() }}",
      "{{ d.x() }}",
      "{{ 5() }}",
      "{{ s() }}",
  });
}

TEST(TemplateMethods, Paths) {
  check_expressions({
      {"m[0]", "{'role': 'user', 'content': 'hi', 'n': 2}"},
      {"m[0].content.upper()", "HI"},
      {"m[0]['content'][0]", "h"},
      {"m[-1].tool_calls", "[]"},
      {"m[-1].tool_calls|length", "0"},
      {"(m|selectattr('role','==','user')|list)[0].content", "hi"},
      {"m|map('items')|map('list')|list|length", "3"},
      {"nested.a.b[0].c", "5"},
      {"nested['a']['b'][0]['c']", "5"},
      {"m|map(attribute='content.0')|list", "['h', 'y', 'h']"},
      {"nested|attr('a')", ""},
      {"m.0.role", "user"},
      {"l.0", "3"},
      {"l.1", "1"},
      {"u.2", "ï"},
      {"1.5.is_integer()", "False"},
      {"d.items()|map('first')|list", "['x', 'y', 'items', 'Z']"},
      {"d.items()|list|first|last", "1"},
      {"d.items()|length", "4"},
      {"d.values()|length", "4"},
      {"d.keys()|list|sort", "['items', 'x', 'y', 'Z']"},
      {"'x' in d.keys()", "True"},
      {"1 in d.values()", "True"},
      {"('x',1) in d.items()", "True"},
      {"d.keys()|first", "x"},
      {"d.values()|last", "None"},
  });
}

}  // namespace
}  // namespace omg::jinja
