// SPDX-License-Identifier: Apache-2.0
//
// Small chat templates, one for each way of writing calls and reasoning that published ones have:
// for tests and fuzzers, which must not depend on published files.
#pragma once

#include <string>
#include <string_view>

namespace omg::testing {

struct ExampleTemplate {
  std::string_view name;
  std::string_view source;
};

/// Declares tools, and writes all messages; CALLS is how the assistant's calls are written.
#define OMG_EXAMPLE(CALLS)                                                               \
  "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|{{ m.role }}|>" \
  "{% if m.reasoning_content %}<think>{{ '\\n' ~ m.reasoning_content }}\n</think>\n\n"   \
  "{% endif %}{{ m.content or '' }}{% if m.tool_calls %}" CALLS                          \
  "{% endif %}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"

#define OMG_EACH(CALL) "{% for c in m.tool_calls %}{% set f = c.function %}" CALL "{% endfor %}"
#define OMG_EACH_ARGUMENT(ARGUMENT) "{% for k, v in f.arguments.items() %}" ARGUMENT "{% endfor %}"
#define OMG_VALUE "{{ v if v is string else v | tojson }}"

inline constexpr ExampleTemplate kExampleTemplates[] = {
    {"json, each call between tags",
     OMG_EXAMPLE(OMG_EACH("\n<tool_call>\n{\"name\": \"{{ f.name }}\", \"arguments\": "
                          "{{ f.arguments | tojson }}}\n</tool_call>"))},
    {"json, an array between tags",
     OMG_EXAMPLE("<|calls|>[" OMG_EACH("{\"tool_call_id\": \"{{ c.id }}\", \"tool_name\": "
                                       "\"{{ f.name }}\", \"parameters\": {{ f.arguments | tojson "
                                       "}}}{{ ', ' if not loop.last }}") "]<|/calls|>")},
    {"json, an array behind a marker",
     OMG_EXAMPLE("[TOOL_CALLS][" OMG_EACH("{\"name\": \"{{ f.name }}\", \"arguments\": "
                                          "{{ f.arguments | tojson }}, \"id\": \"{{ c.id }}\"}"
                                          "{{ ', ' if not loop.last }}") "]")},
    {"json, the name as key",
     OMG_EXAMPLE("<|tools|>[" OMG_EACH("{\"{{ f.name }}\": {{ f.arguments | tojson }}}"
                                       "{{ ', ' if not loop.last }}") "]<|/tools|>")},
    {"json alone", OMG_EXAMPLE(OMG_EACH("{\"name\": \"{{ f.name }}\", \"parameters\": "
                                        "{{ f.arguments | tojson }}}{{ '; ' if not loop.last }}"))},
    {"the whole call as in the API", OMG_EXAMPLE("<calls>{{ m.tool_calls | tojson }}</calls>")},
    {"name and json in sections",
     OMG_EXAMPLE("<｜calls｜>" OMG_EACH("<｜call｜>{{ f.name }}<｜sep｜>{{ f.arguments | tojson }}"
                                        "<｜/call｜>") "<｜/calls｜>")},
    {"name and fenced json",
     OMG_EXAMPLE("<calls>" OMG_EACH("<call>function<sep>{{ f.name }}\n```json\n"
                                    "{{ f.arguments | tojson }}\n```</call>\n") "</calls>")},
    {"name with index",
     OMG_EXAMPLE("<|section|>" OMG_EACH("<|call|>functions.{{ f.name }}:{{ loop.index0 }}<|args|>"
                                        "{{ f.arguments | tojson }}<|/call|>") "<|/section|>")},
    {"id, name and json", OMG_EXAMPLE(OMG_EACH("<|call|>{{ c.id }}<|name|>{{ f.name }}<|args|>"
                                               "{{ f.arguments | tojson }}<|/call|>"))},
    {"name, id and json", OMG_EXAMPLE(OMG_EACH("[TOOL_CALLS]{{ f.name }}[CALL_ID]{{ c.id }}[ARGS]"
                                               "{{ f.arguments | tojson }}"))},
    {"name in a tag, then json",
     OMG_EXAMPLE(OMG_EACH("<function={{ f.name }}>{{ f.arguments | tojson }}</function>"))},
    {"prompt that opens a call",
     "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|{{ m.role }}|>"
     "{% if m.role == 'assistant' %}{% if m.content %}>>>all\n{{ m.content }}{% endif %}"
     "{% for c in m.tool_calls or [] %}>>>{{ c.function.name }}\n{{ c.function.arguments | tojson "
     "}}{% endfor %}{% else %}{{ m.content }}{% endif %}<|end|>{% endfor %}"
     "{% if add_generation_prompt %}<|assistant|>>>>{% endif %}"},
    {"pairs, on lines of their own",
     OMG_EXAMPLE(OMG_EACH("\n<tool_call>\n<function={{ f.name }}>\n" OMG_EACH_ARGUMENT(
         "<parameter={{ k }}>\n" OMG_VALUE "\n</parameter>\n") "</function>\n</tool_call>"))},
    {"pairs, invoked in a section",
     OMG_EXAMPLE("\n<x:calls>\n" OMG_EACH("<invoke name=\"{{ f.name }}\">\n" OMG_EACH_ARGUMENT(
         "<parameter name=\"{{ k }}\">" OMG_VALUE "</parameter>\n") "</invoke>\n") "</x:calls>")},
    {"pairs, that say which are strings",
     OMG_EXAMPLE("<d:calls>\n" OMG_EACH("<d:invoke name=\"{{ f.name }}\">\n" OMG_EACH_ARGUMENT(
         "<d:p name=\"{{ k }}\" string=\"{{ 'true' if v is string else 'false' }}\">" OMG_VALUE
         "</d:p>\n") "</d:invoke>\n") "</d:calls>")},
    {"pairs, key by key",
     OMG_EXAMPLE(OMG_EACH("\n<tool_call>{{ f.name }}\n" OMG_EACH_ARGUMENT(
         "<arg_key>{{ k }}</arg_key>\n<arg_value>" OMG_VALUE "</arg_value>\n") "</tool_call>"))},
    {"pairs, in Python's words", OMG_EXAMPLE(OMG_EACH("<call:{{ f.name }}>" OMG_EACH_ARGUMENT(
                                     "<arg={{ k }}>{{ v }}</arg>") "</call>"))},
    {"nested tags",
     "{% macro put(v) %}{% if v is mapping %}{% for k, w in v.items() %}]~[<{{ k }}>{{ put(w) }}"
     "]~[</{{ k }}>{% endfor %}{% elif v is iterable and v is not string %}{% for w in v %}"
     "]~[<item>{{ put(w) }}]~[</item>{% endfor %}{% else %}" OMG_VALUE
     "{% endif %}{% endmacro %}" OMG_EXAMPLE(
         "]~[<calls>\n" OMG_EACH("]~[<invoke name=\"{{ f.name }}\">{{ put(f.arguments) }}"
                                 "]~[</invoke>\n") "]~[</calls>")},
    {"quotes of its own",
     "{% macro put(v) %}{% if v is string %}<|\"|>{{ v }}<|\"|>{% elif v is mapping %}{{ '{' }}"
     "{% for k, w in v.items() %}{{ k }}:{{ put(w) }}{{ ',' if not loop.last }}{% endfor %}"
     "{{ '}' }}{% elif v is boolean or v is none or v is number %}{{ v }}{% else %}["
     "{% for w in v %}{{ put(w) }}{{ ',' if not loop.last }}{% endfor %}]{% endif %}"
     "{% endmacro %}" OMG_EXAMPLE(
         OMG_EACH("<|call>call:{{ f.name }}{{ put(f.arguments) }}<call|>"))},
    {"python",
     OMG_EXAMPLE("<|start|>[" OMG_EACH(
         "{{ f.name }}({% for k, v in f.arguments.items() %}{{ k }}="
         "{{ \"'\" ~ v ~ \"'\" if v is string else v | tojson }}{{ ', ' if not loop.last }}"
         "{% endfor %}){{ ', ' if not loop.last }}") "]<|stop|>")},
    {"channels",
     "<|start|>{% for m in messages %}{{ m.role }}<|channel|>final<|message|>"
     "{{ m.content }}<|end|>{% endfor %}{{ tools }}"},
    {"known by a word alone",
     "{% for m in messages %}{{ m.content }}{% endfor %}"
     "{# <|tool_list_start|> #}"},
    {"nothing", "{% for m in messages %}{{ m.content }}{% endfor %}"},
};

#undef OMG_EXAMPLE
#undef OMG_EACH
#undef OMG_EACH_ARGUMENT
#undef OMG_VALUE

}  // namespace omg::testing
