// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/grammar.h"

#include "text/grammar/automaton.h"
#include "text/grammar/gbnf.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/json_text.h"
#include "text/grammar/regex.h"

namespace omg {

using grammar::Expressions;

Grammar::Grammar(std::unique_ptr<const Expressions> expressions)
    : expressions_(std::move(expressions)),
      automaton_(std::make_shared<const grammar::Automaton>(*expressions_)) {}

Grammar Grammar::from_gbnf(std::string_view text, const GrammarLimits& limits) {
  auto expressions = std::make_unique<Expressions>(limits);
  grammar::parse_gbnf(text, *expressions);
  return Grammar(std::move(expressions));
}

Grammar Grammar::from_regex(std::string_view pattern, const GrammarLimits& limits) {
  auto expressions = std::make_unique<Expressions>(limits);
  const grammar::RuleId root = expressions->declare("root");
  expressions->define(root, grammar::parse_regex(pattern, *expressions, {}));
  expressions->set_root(root);
  return Grammar(std::move(expressions));
}

Grammar Grammar::from_json_schema(const boost::json::value& schema,
                                  const JsonSchemaOptions& options) {
  auto expressions = std::make_unique<Expressions>(options.limits);
  grammar::compile_json_schema(schema, options, *expressions);
  return Grammar(std::move(expressions));
}

Grammar Grammar::any_json(JsonTop top) {
  auto expressions = std::make_unique<Expressions>(GrammarLimits{});
  grammar::JsonText text(*expressions);
  const grammar::RuleId root = expressions->declare("root");
  expressions->define(root, top == JsonTop::kObject ? text.any_object() : text.any_value());
  expressions->set_root(root);
  return Grammar(std::move(expressions));
}

}  // namespace omg
