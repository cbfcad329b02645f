// SPDX-License-Identifier: Apache-2.0
//
// What `safe` and `escape` do to what follows. Results are Jinja 3.1's and MarkupSafe 2.1's.
#include "text/template/markup.h"

#include "text/template/test_support.h"

namespace omg::jinja {
namespace {

TEST(TemplateMarkup, EscapesWhatIsJoinedWithIt) {
  check_expressions({
      {"'<a>'|safe + '<b>'", "<a>&lt;b&gt;"},
      {"'<b>' + '<a>'|safe", "&lt;b&gt;<a>"},
      {"('<a>'|safe) + ('<b>'|safe)", "<a><b>"},
      {"'<a>'|e + '<b>'", "&lt;a&gt;&lt;b&gt;"},
      {"'<a>'|e|e", "&lt;a&gt;"},
      {"'<a>'|safe|e", "<a>"},
      {"'<a>'|safe|forceescape", "&lt;a&gt;"},
      {"'<a>'|safe ~ '<b>'", "<a><b>"},
      {"('<a>'|safe) * 2 + '&'", "<a><a>&amp;"},
      {"'%s<i>'|safe % '<b>'", "&lt;b&gt;<i>"},
      {"'%s %d'|safe % ('<b>', 3)", "&lt;b&gt; 3"},
      {"'%(x)s'|safe % {'x': '<'}", "&lt;"},
      {"'{} {a}<'|safe|string", "{} {a}<"},
      {"('{} {a}<'|safe).format('<', a='>')", "&lt; &gt;<"},
      {"('<'|safe).join(['<', 'a', '>'|safe])", "&lt;<a<>"},
      {"[('<'|safe), '<']|join", "<<"},
      {"('<a>'|safe|upper) + '<'", "<A>&lt;"},
      {"('<a>'|safe|lower) + '<'", "<a>&lt;"},
      {"('<a>'|safe|trim) + '<'", "<a>&lt;"},
      {"(' <a> '|safe).strip() + '<'", "<a>&lt;"},
      {"('<a>'|safe|title) + '<'", "<A><"},
      {"('<a>'|safe|capitalize) + '<'", "<a>&lt;"},
      {"('<a>'|safe|replace('a', '<')) + '<'", "<<><"},
      {"('<a>'|safe).replace('a', '<') + '<'", "<&lt;>&lt;"},
      {"('<a>'|safe)[1:] + '<'", "a>&lt;"},
      {"('<a>'|safe)[0] + '<'", "<&lt;"},
      {"(('<a>'|safe)|first) + '<'", "<<"},
      {"(('<a>'|safe)|last) + '<'", ">&lt;"},
      {"('<a>'|safe|reverse) + '<'", ">a<&lt;"},
      {"('<a> <b>'|safe).split()[0] + '<'", "<a>&lt;"},
      {"('<a>'|safe).partition('a')[0] + '<'", "<&lt;"},
      {"('<a>'|safe|tojson) + '<'", "\"<a>\"<"},
      {"('<a>'|safe|indent) + '<'", "<a>&lt;"},
      {"('<a>'|safe|string) + '<'", "<a>&lt;"},
      {"('<a>'|safe|default('x')) + '<'", "<a>&lt;"},
      {"'<a>'|safe is escaped", "True"},
      {"'<a>' is escaped", "False"},
      {"'<a>'|safe == '<a>'", "True"},
      {"['<a>'|safe]", "[Markup('<a>')]"},
      {"{'k': '<a>'|safe}", "{'k': Markup('<a>')}"},
      {"('<a>'|safe|truncate(30)) + '<'", "<a>&lt;"},
      {"('<a>'|safe|center(7)) + '<'", "  <a>  &lt;"},
      {"('%s'|safe|format('<')) + '<'", "&lt;&lt;"},
      {"('<a>'|safe).startswith('<')", "True"},
      {"{('<a>'|safe): 1}['<a>']", "1"},
      {"('<a>'|safe).upper() + '<'", "<A>&lt;"},
      {"('<a>'|safe).zfill(5) + '<'", "00<a>&lt;"},
      {"('<'|safe)|length", "1"},
      {"'<'|safe in '<<'", "True"},
      {"(['<']|map('safe')|list)[0] + '<'", "<&lt;"},
      {"('a<'|safe|wordwrap(2)) + '<'", "a<<"},
      {"('<a>'|safe|striptags) + '<'", "<"},
      {"5|safe + '<'", "5&lt;"},
      {"('<a>'|safe).title() + '<'", "<A>&lt;"},
  });
}

TEST(TemplateMarkup, TextOfATemplateIsNotEscaped) {
  check_templates({{"<{{ '<a>'|safe }}{{ '<b>' }}>", "<<a><b>>"},
                   {"{% macro m() %}{{ '<a>'|safe }}{% endmacro %}{{ m() + '<' }}", "<a><"},
                   {"{% set x %}{{ '<a>'|safe }}{% endset %}{{ x + '<' }}", "<a><"},
                   {"{% for c in '<a'|safe %}{{ c + '<' }}{% endfor %}", "<<a<"}});
}

}  // namespace
}  // namespace omg::jinja
