// SPDX-License-Identifier: Apache-2.0
//
// What an answer must be, as a grammar over the model's vocabulary: the format or the tool call
// that a request asks for, with the markers that the model's own format puts before it. Grammars
// that were in use lately are kept, with what was learnt of their masks.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "runtimes/answer.h"
#include "text/grammar/matcher.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tools/tool_format.h"

namespace omg {

/// Where in an answer the grammar begins.
enum class GrammarPlace {
  kText,            // of a text that goes on
  kAnswer,          // of an answer to a conversation
  kAfterReasoning,  // white space may follow the reasoning
};

/// Thread-safe.
class AnswerGrammars {
 public:
  /// `format` is null for a model without template. Both must outlive this.
  AnswerGrammars(const Tokenizer& tokenizer, const ToolFormat* format)
      : tokenizer_(tokenizer), format_(format) {}

  /// For a format that is not kFree. Errors as Grammar's factories.
  std::shared_ptr<GrammarMatcher> of_format(const AnswerFormat& format, GrammarPlace place);
  /// A call of one of `tools` (that named in `use`, if one is), or several where it allows them.
  /// Error(kUnsupported) where the model's format of calls has no grammar, Error(kInvalidArgument)
  /// for tools that are none.
  std::shared_ptr<GrammarMatcher> of_calls(const json::array& tools, const ToolUse& use,
                                           GrammarPlace place);
  /// Either of the two.
  std::shared_ptr<GrammarMatcher> of_format_or_calls(const AnswerFormat& format,
                                                     const json::array& tools, const ToolUse& use,
                                                     GrammarPlace place);
  /// The marker that begins the reasoning.
  std::shared_ptr<GrammarMatcher> of_reasoning_begin();

 private:
  std::shared_ptr<GrammarMatcher> find_or_make(std::string key, bool with_markers,
                                               const std::function<Grammar()>& make);
  std::shared_ptr<const GrammarVocabulary> vocabulary(bool with_markers);

  const Tokenizer& tokenizer_;
  const ToolFormat* const format_;
  std::mutex mutex_;  // guards the rest
  /// Of texts, and of conversations, where control tokens that are markers stand for their texts.
  std::shared_ptr<const GrammarVocabulary> vocabularies_[2];
  std::list<std::pair<std::string, std::shared_ptr<GrammarMatcher>>> recent_;  // latest first
};

/// The markers of a format that are control tokens of the vocabulary, and would not be shown.
std::vector<TokenId> marker_tokens(const ToolFormat& format, const Tokenizer& tokenizer);

}  // namespace omg
