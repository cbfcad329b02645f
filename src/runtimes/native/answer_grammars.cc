// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/answer_grammars.h"

#include <algorithm>

#include "runtimes/native/call_grammar.h"
#include "text/grammar/gbnf.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/json_text.h"
#include "text/grammar/regex.h"
#include "text/tools/tag_text.h"

namespace omg {
namespace {

using grammar::CodePointSet;
using grammar::Expressions;
using grammar::ExprId;

/// Clients have few schemas each; a grammar's masks may take 16 MiB.
constexpr size_t kMostGrammars = 12;
constexpr size_t kCacheBytes = 16u << 20;
constexpr uint32_t kMostSpace = 4;

ExprId format_expression(const AnswerFormat& format, Expressions& e) {
  switch (format.kind) {
    case AnswerFormat::Kind::kJsonObject:
      return grammar::JsonText(e).any_object();
    case AnswerFormat::Kind::kJsonSchema:
      grammar::compile_json_schema(format.schema, {}, e);
      return e.rule(e.root());
    case AnswerFormat::Kind::kRegex:
      return grammar::parse_regex(format.source, e, {});
    case AnswerFormat::Kind::kGbnf:
      grammar::parse_gbnf(format.source, e);
      return e.rule(e.root());
    case AnswerFormat::Kind::kFree:
      break;
  }
  throw Error(ErrorCode::kInternal, "an answer without format has no grammar");
}

ExprId space(Expressions& e) {
  return e.repeat(e.one_of(CodePointSet{{' ', ' '}, {'\n', '\n'}}), 0, kMostSpace);
}

/// What the model's format puts before an answer.
ExprId content_lead(const ToolFormat* format, GrammarPlace place, Expressions& e) {
  if (place == GrammarPlace::kText || format == nullptr) return e.empty();
  const bool follows = place == GrammarPlace::kAfterReasoning;
  if (format->syntax == CallSyntax::kHarmony) {
    return e.literal(std::string(follows ? "<|start|>assistant" : "") +
                     "<|channel|>final<|message|>");
  }
  const ExprId before = follows ? space(e) : e.optional(e.literal(format->content_lead));
  if (format->content_begin.empty()) return before;
  return e.sequence({before, e.optional(e.sequence({e.literal(format->content_begin), space(e)}))});
}

ExprId answer_expression(const ToolFormat* tool_format, const AnswerFormat& format,
                         GrammarPlace place, Expressions& e) {
  const ExprId lead = content_lead(tool_format, place, e);
  return e.sequence({lead, format_expression(format, e)});
}

ExprId calls_expression(const ToolFormat* format, const json::array& tools, const ToolUse& use,
                        GrammarPlace place, Expressions& e) {
  if (format == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                "the model has no chat template, so it cannot be made to call a tool");
  }
  const bool follows = place == GrammarPlace::kAfterReasoning;
  ExprId lead = follows ? space(e) : e.optional(e.literal("\n"));
  if (follows && format->syntax == CallSyntax::kHarmony) lead = e.literal("<|start|>assistant");
  return e.sequence({lead, call_expression(*format, tools, use, e)});
}

Grammar make_grammar(const std::function<ExprId(Expressions&)>& fill) {
  auto expressions = std::make_unique<Expressions>(GrammarLimits{});
  const ExprId body = fill(*expressions);
  const grammar::RuleId root = expressions->declare("answer");
  expressions->define(root, body);
  expressions->set_root(root);
  return Grammar(std::move(expressions));
}

std::string key_of(const AnswerFormat& format) {
  std::string key = std::to_string(static_cast<int>(format.kind)) + format.source;
  if (format.kind == AnswerFormat::Kind::kJsonSchema) key += json::serialize(format.schema);
  return key;
}

std::string key_of(const json::array& tools, const ToolUse& use) {
  return (use.parallel ? "calls " : "call ") + use.name + '\n' + json::serialize(tools);
}

std::string key_of(GrammarPlace place) {
  return std::to_string(static_cast<int>(place)) + '\n';
}

}  // namespace

std::vector<TokenId> marker_tokens(const ToolFormat& format, const Tokenizer& tokenizer) {
  std::vector<TokenId> tokens;
  const auto add = [&](std::string_view marker) {
    const std::optional<TokenId> token = tokenizer.find_token(marker);
    if (token && tokenizer.is_control(*token)) tokens.push_back(*token);
  };
  const std::vector<std::string> texts = marker_texts(format);
  for (const std::string& text : texts) {
    add(text);
    for (const std::string& tag : split_tags(text)) add(tag);
  }
  return tokens;
}

std::shared_ptr<GrammarMatcher> AnswerGrammars::of_format(const AnswerFormat& format,
                                                          GrammarPlace place) {
  return find_or_make("f" + key_of(place) + key_of(format), place != GrammarPlace::kText, [&] {
    return make_grammar(
        [&](Expressions& e) { return answer_expression(format_, format, place, e); });
  });
}

std::shared_ptr<GrammarMatcher> AnswerGrammars::of_calls(const json::array& tools,
                                                         const ToolUse& use, GrammarPlace place) {
  return find_or_make("c" + key_of(place) + key_of(tools, use), true, [&] {
    return make_grammar(
        [&](Expressions& e) { return calls_expression(format_, tools, use, place, e); });
  });
}

std::shared_ptr<GrammarMatcher> AnswerGrammars::of_format_or_calls(const AnswerFormat& format,
                                                                   const json::array& tools,
                                                                   const ToolUse& use,
                                                                   GrammarPlace place) {
  std::string key = "e" + key_of(place) + key_of(format) + '\n' + key_of(tools, use);
  return find_or_make(std::move(key), true, [&] {
    return make_grammar([&](Expressions& e) {
      const ExprId answer = answer_expression(format_, format, place, e);
      return e.alternatives({answer, calls_expression(format_, tools, use, place, e)});
    });
  });
}

std::shared_ptr<GrammarMatcher> AnswerGrammars::of_reasoning_begin() {
  return find_or_make("r", true, [&] {
    return make_grammar([&](Expressions& e) {
      return e.sequence({space(e), e.literal(format_->reasoning_begin)});
    });
  });
}

/// Two threads may make the same one at once; then the later one is dropped.
std::shared_ptr<GrammarMatcher> AnswerGrammars::find_or_make(std::string key, bool with_markers,
                                                             const std::function<Grammar()>& make) {
  const auto find = [&]() -> std::shared_ptr<GrammarMatcher> {
    const auto found = std::find_if(recent_.begin(), recent_.end(),
                                    [&](const auto& entry) { return entry.first == key; });
    if (found == recent_.end()) return nullptr;
    recent_.splice(recent_.begin(), recent_, found);
    return found->second;
  };
  std::shared_ptr<const GrammarVocabulary> words;
  {
    const std::lock_guard lock(mutex_);
    if (auto matcher = find()) return matcher;
    words = vocabulary(with_markers);
  }
  GrammarMatcherOptions options;
  options.max_cache_bytes = kCacheBytes;
  auto made = std::make_shared<GrammarMatcher>(make(), std::move(words), options);
  const std::lock_guard lock(mutex_);
  if (auto matcher = find()) return matcher;
  recent_.emplace_front(std::move(key), made);
  if (recent_.size() > kMostGrammars) recent_.pop_back();
  return made;
}

std::shared_ptr<const GrammarVocabulary> AnswerGrammars::vocabulary(bool with_markers) {
  std::shared_ptr<const GrammarVocabulary>& made = vocabularies_[with_markers ? 1 : 0];
  if (made) return made;
  std::vector<TokenId> markers;
  if (with_markers && format_ != nullptr) markers = marker_tokens(*format_, tokenizer_);
  std::vector<GrammarVocabulary::Token> tokens(tokenizer_.vocab_size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (tokenizer_.is_end_of_generation(id)) {
      tokens[i].use = TokenUse::kEnd;
    } else if (std::find(markers.begin(), markers.end(), id) != markers.end()) {
      tokens[i].bytes = tokenizer_.token_bytes(id, /*show_special=*/true);
    } else if (tokenizer_.is_control(id) || id == tokenizer_.special_tokens().unknown) {
      tokens[i].use = TokenUse::kNever;
    } else {
      tokens[i].bytes = tokenizer_.token_bytes(id);
    }
  }
  made = std::make_shared<const GrammarVocabulary>(tokens);
  return made;
}

}  // namespace omg
