// SPDX-License-Identifier: Apache-2.0
//
// Structured output: a language that a model's answer must belong to, written as GBNF, a regular
// expression or a JSON Schema. Here it becomes a checked, bounded automaton over bytes; matcher.h
// turns that into masks over a vocabulary. What cannot be expressed is refused by name, so an
// answer that the masks let through always belongs to the language.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <memory>
#include <string_view>

namespace omg {

namespace grammar {
class Automaton;
class Expressions;
}  // namespace grammar

/// Texts come from clients: what they may cost is bounded before it is spent.
struct GrammarLimits {
  size_t max_text_bytes = 1u << 20;
  /// Nodes of the expression tree, states of the automaton: about 40 bytes each.
  size_t max_nodes = 1u << 18;
  size_t max_states = 1u << 19;
  /// Groups within groups, schemas within schemas.
  uint32_t max_nesting = 128;
};

/// What `any_json` lets through at the top.
enum class JsonTop : uint8_t { kObject, kValue };

struct JsonSchemaOptions {
  GrammarLimits limits;
  /// Objects that declare properties and say nothing of others have no others. The answers are
  /// valid either way; models that may add properties do not stop adding.
  bool declared_properties_only = true;
};

/// Immutable and cheap to copy; many threads may use one.
class Grammar {
 public:
  /// llama.cpp's GBNF (its grammars/README.md) with the rule `root`. Direct left recursion is
  /// rewritten; other left recursion, token references and undefined rules are refused.
  /// Error(kInvalidArgument | kUnsupported) with line and column, Error(kLimitExceeded).
  static Grammar from_gbnf(std::string_view text, const GrammarLimits& limits = {});

  /// The whole answer matches `pattern`, in the syntax that Python, JavaScript and PCRE share.
  /// `.` is any character but line ends; \d \w \s are ASCII, \S is no white space of Unicode's.
  /// Error(kUnsupported) names what is not
  /// regular (back-references, look-around) or not known (\b, \p, flags).
  static Grammar from_regex(std::string_view pattern, const GrammarLimits& limits = {});

  /// JSON Schema draft 2020-12. Properties come in the schema's order, optional ones may be left
  /// out; white space is bounded. Annotations are ignored. Error(kUnsupported) names a keyword that
  /// would constrain but cannot, Error(kInvalidArgument) a wrong value, both with a JSON pointer.
  static Grammar from_json_schema(const boost::json::value& schema,
                                  const JsonSchemaOptions& options = {});

  /// Any JSON of bounded white space and number length ("JSON mode").
  static Grammar any_json(JsonTop top = JsonTop::kObject);

  const grammar::Automaton& automaton() const { return *automaton_; }
  /// What the automaton was made of; for tests.
  const grammar::Expressions& expressions() const { return *expressions_; }

  explicit Grammar(std::unique_ptr<const grammar::Expressions> expressions);

 private:
  // Shared by all matchers and sequences, which end in any order.
  std::shared_ptr<const grammar::Expressions> expressions_;
  std::shared_ptr<const grammar::Automaton> automaton_;
};

}  // namespace omg
