// SPDX-License-Identifier: Apache-2.0
#include "runtimes/native/prompt_maker.h"

#include <algorithm>
#include <span>
#include <utility>

#include "formats/fill_in_tokens.h"
#include "text/template/conversation.h"

namespace omg {
namespace {

std::optional<TokenId> find_fill_in_token(const FillInName& name, const Metadata& metadata,
                                          const Tokenizer& tokenizer) {
  for (const std::string_view key : {name.key, name.older_key}) {
    const auto id = metadata.find_u32(key);
    if (id && *id < tokenizer.vocab_size()) return static_cast<TokenId>(*id);
  }
  for (const std::string_view text : name.texts) {
    if (const auto token = tokenizer.find_token(text)) return token;
  }
  return std::nullopt;
}

[[noreturn]] void throw_too_long(size_t tokens, uint32_t context, const std::string& more = "") {
  throw Error(ErrorCode::kContextLengthExceeded,
              "the prompt has " + std::to_string(tokens) + " tokens" + more +
                  ", the context holds " + std::to_string(context) + ": shorten it or raise --ctx");
}

/// A prompt that had to be cut leaves this for the answer: where it stays one token short of the
/// context, nobody is helped.
uint32_t room_for_answer(const GenerateOptions& options, uint32_t context) {
  const uint32_t share = std::max(context / 4, 1u);
  if (options.max_tokens < 0) return share;
  return std::clamp(static_cast<uint32_t>(options.max_tokens), 1u, share);
}

std::string_view role_of(const json::value& message) {
  const json::object* object = message.if_object();
  const json::value* role = object == nullptr ? nullptr : object->if_contains("role");
  return role != nullptr && role->is_string() ? std::string_view(role->get_string())
                                              : std::string_view();
}

/// Messages without the `count` oldest that may go: neither system messages nor the last.
json::array without_oldest(const json::array& messages, size_t count) {
  json::array kept;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string_view role = role_of(messages[i]);
    const bool may_go = role != "system" && role != "developer" && i + 1 < messages.size();
    if (may_go && count > 0) {
      --count;
    } else {
      kept.push_back(messages[i]);
    }
  }
  return kept;
}

/// How many of the oldest messages may be left out, fewest first: what is left begins with a
/// user's message, since templates refuse, or misread, an answer or a tool's result without what
/// it belongs to.
std::vector<size_t> possible_cuts(const json::array& messages) {
  std::vector<size_t> cuts;
  size_t gone = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string_view role = role_of(messages[i]);
    if (role == "system" || role == "developer") continue;
    const bool is_last = i + 1 == messages.size();
    if (gone > 0 && (role == "user" || is_last)) cuts.push_back(gone);
    ++gone;
  }
  return cuts;
}

}  // namespace

std::optional<FillInTokens> find_fill_in_tokens(const Metadata& metadata,
                                                const Tokenizer& tokenizer) {
  const auto prefix = find_fill_in_token(kFillInPrefix, metadata, tokenizer);
  const auto suffix = find_fill_in_token(kFillInSuffix, metadata, tokenizer);
  const auto middle = find_fill_in_token(kFillInMiddle, metadata, tokenizer);
  if (!prefix || !suffix || !middle) return std::nullopt;
  return FillInTokens{*prefix, *suffix, *middle};
}

std::string PromptMaker::special_text(std::optional<TokenId> token) const {
  return token ? std::string(parts_.tokenizer->token_text(*token)) : std::string();
}

RenderedChat PromptMaker::render(const ChatPrompt& prompt) const {
  if (parts_.template_error) throw *parts_.template_error;
  if (parts_.chat_template == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                "the conversation cannot be rendered: the model has no chat template, and none is "
                "known for its family and vocabulary; use a prompt without one");
  }
  if (prompt.messages.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "messages is empty: give at least one message");
  }
  const TemplateCapabilities& can = *parts_.capabilities;
  const json::array no_tools;
  const json::array& tools =
      prompt.tool_use.choice == ToolUse::Choice::kNone ? no_tools : prompt.tools;
  AdaptedConversation adapted = adapt_conversation(can, prompt.messages, tools);
  const SpecialTokens& special = parts_.tokenizer->special_tokens();
  json::object context;
  context["messages"] = std::move(adapted.messages);
  if (!tools.empty()) {
    context["tools"] = tools;
  } else if (can.absent_is_none) {
    context["tools"] = nullptr;
  }
  if (can.absent_is_none) context["documents"] = nullptr;
  context["add_generation_prompt"] = true;
  context["bos_token"] = special_text(special.bos);
  context["eos_token"] = special_text(special.eos);
  if (!prompt.thinking.empty()) {
    for (const auto& variable : thinking_variables(can, prompt.thinking)) {
      context.insert_or_assign(variable.key(), variable.value());
    }
  }
  for (const auto& variable : prompt.template_variables) {
    if (variable.key() == "messages" || variable.key() == "tools") {
      throw Error(ErrorCode::kInvalidArgument, "template_variables holds '" +
                                                   std::string(variable.key()) +
                                                   "': that is a field of its own");
    }
    context.insert_or_assign(variable.key(), variable.value());
  }
  RenderedChat rendered{parts_.chat_template->render(context), std::move(adapted.warnings)};
  if (!parts_.default_template.empty()) {
    rendered.warnings.push_back("the model file has no chat template: '" + parts_.default_template +
                                "', which is usual for its family, is used");
  }
  return rendered;
}

/// BOS where a text begins and as the model wants it, unless the text has brought its own (chat
/// templates do): behind other tokens that one goes, too. EOS is never added, even for models that
/// want it around texts: an answer would end before it began.
std::vector<TokenId> PromptMaker::encode(std::string_view text, bool parse_special,
                                         bool begins) const {
  const SpecialTokens& special = parts_.tokenizer->special_tokens();
  std::vector<TokenId> tokens = parts_.tokenizer->encode(text, {.parse_special = parse_special});
  if (!special.bos) return tokens;
  const bool has_bos = !tokens.empty() && tokens.front() == *special.bos;
  if (begins && special.add_bos && !has_bos) tokens.insert(tokens.begin(), *special.bos);
  if (!begins && has_bos) tokens.erase(tokens.begin());
  return tokens;
}

void PromptMaker::check_tokens(std::span<const int32_t> tokens, const char* what) const {
  for (const int32_t token : tokens) {
    if (token >= 0 && static_cast<size_t>(token) < parts_.tokenizer->vocab_size()) continue;
    throw Error(ErrorCode::kInvalidArgument, std::string(what) + " holds token " +
                                                 std::to_string(token) + ": the vocabulary has " +
                                                 std::to_string(parts_.tokenizer->vocab_size()) +
                                                 " tokens");
  }
}

MadePrompt PromptMaker::make(const AnswerRequest& request, uint32_t context) const {
  check_tokens(request.context, "context");
  MadePrompt made;
  if (const auto* chat = std::get_if<ChatPrompt>(&request.prompt)) {
    made = make_chat(request, *chat, context);
  } else if (const auto* text = std::get_if<TextPrompt>(&request.prompt)) {
    made = make_text(request, *text, context);
  } else {
    const std::vector<int32_t>& tokens = std::get<TokenPrompt>(request.prompt).tokens;
    check_tokens(tokens, "the prompt");
    made.tokens = request.context;
    made.tokens.insert(made.tokens.end(), tokens.begin(), tokens.end());
    cut_oldest(request, context, made);
  }
  if (made.tokens.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "the prompt is empty: this model does not begin texts with a token of its own; "
                "give at least one character");
  }
  return made;
}

MadePrompt PromptMaker::make_text(const AnswerRequest& request, const TextPrompt& prompt,
                                  uint32_t context) const {
  if (prompt.suffix) return make_fill_in(request, prompt, context);
  MadePrompt made;
  made.tokens = request.context;
  const auto tokens = encode(prompt.text, prompt.parse_special, request.context.empty());
  made.tokens.insert(made.tokens.end(), tokens.begin(), tokens.end());
  cut_oldest(request, context, made);
  return made;
}

/// Without the oldest tokens, BOS excepted, when there are more than the context holds.
void PromptMaker::cut_oldest(const AnswerRequest& request, uint32_t context,
                             MadePrompt& made) const {
  if (made.tokens.size() <= context) return;
  if (!request.options.cut_prompt || context < 2) throw_too_long(made.tokens.size(), context);
  const std::optional<TokenId> bos = parts_.tokenizer->special_tokens().bos;
  const size_t begin = bos && made.tokens.front() == *bos ? 1 : 0;
  const size_t most = std::max<size_t>(context - room_for_answer(request.options, context), 1);
  const size_t gone = std::min(made.tokens.size() - most, made.tokens.size() - begin);
  const auto first = made.tokens.begin() + static_cast<ptrdiff_t>(begin);
  made.tokens.erase(first, first + static_cast<ptrdiff_t>(gone));
  made.cut_tokens = static_cast<uint32_t>(gone);
}

/// What is far from the hole is cut: the oldest of what precedes it, then the end of what follows.
MadePrompt PromptMaker::make_fill_in(const AnswerRequest& request, const TextPrompt& prompt,
                                     uint32_t context) const {
  if (!parts_.fill_in) {
    throw Error(ErrorCode::kUnsupported,
                "a suffix cannot be used: the model has no tokens to fill in a text with; take one "
                "that was trained for it, or leave the suffix out");
  }
  const Tokenizer& tokenizer = *parts_.tokenizer;
  const EncodeOptions plain{.parse_special = prompt.parse_special};
  std::vector<TokenId> before = tokenizer.encode(prompt.text, plain);
  std::vector<TokenId> after = tokenizer.encode(*prompt.suffix, plain);
  const SpecialTokens& special = tokenizer.special_tokens();
  std::vector<TokenId> begin = request.context;
  if (begin.empty() && special.add_bos && special.bos) begin.push_back(*special.bos);

  MadePrompt made;
  const size_t size = begin.size() + before.size() + after.size() + 3;
  if (size > context) {
    const size_t most = context - room_for_answer(request.options, context);
    if (!request.options.cut_prompt || begin.size() + 3 > most) throw_too_long(size, context);
    const size_t gone = size - most;
    const size_t of_before = std::min(gone, before.size());
    before.erase(before.begin(), before.begin() + static_cast<ptrdiff_t>(of_before));
    after.resize(after.size() - (gone - of_before));
    made.cut_tokens = static_cast<uint32_t>(gone);
  }
  made.tokens = std::move(begin);
  made.tokens.push_back(parts_.fill_in->prefix);
  made.tokens.insert(made.tokens.end(), before.begin(), before.end());
  made.tokens.push_back(parts_.fill_in->suffix);
  made.tokens.insert(made.tokens.end(), after.begin(), after.end());
  made.tokens.push_back(parts_.fill_in->middle);
  return made;
}

MadePrompt PromptMaker::try_chat(const AnswerRequest& request, const ChatPrompt& prompt) const {
  RenderedChat rendered = render(prompt);
  MadePrompt made;
  made.tokens = request.context;
  const auto tokens = encode(rendered.prompt, true, request.context.empty());
  made.tokens.insert(made.tokens.end(), tokens.begin(), tokens.end());
  made.chat = std::move(rendered.prompt);
  made.warnings = std::move(rendered.warnings);
  return made;
}

/// The fewest oldest messages go that make room; found by halving, since rendering and tokenising a
/// long conversation takes its time.
MadePrompt PromptMaker::make_chat(const AnswerRequest& request, const ChatPrompt& prompt,
                                  uint32_t context) const {
  MadePrompt whole = try_chat(request, prompt);
  const size_t tokens = whole.tokens.size();
  if (tokens <= context) return whole;
  if (!request.options.cut_prompt) throw_too_long(tokens, context);
  const std::vector<size_t> cuts = possible_cuts(prompt.messages);
  const auto cut_by = [&](size_t count) {
    ChatPrompt shorter = prompt;
    shorter.messages = without_oldest(prompt.messages, count);
    MadePrompt made = try_chat(request, shorter);
    made.cut_messages = static_cast<uint32_t>(count);
    return made;
  };
  if (cuts.empty()) throw_too_long(tokens, context, " that may not be cut");
  MadePrompt best = cut_by(cuts.back());
  if (best.tokens.size() > context) {
    throw_too_long(best.tokens.size(), context, " without the messages that may be cut");
  }
  const size_t most = context - room_for_answer(request.options, context);
  size_t low = 0;
  size_t high = cuts.size() - 1;  // the last one must do
  while (low < high) {
    const size_t middle = (low + high) / 2;
    MadePrompt made = cut_by(cuts[middle]);
    if (made.tokens.size() <= most) {
      best = std::move(made);
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  best.cut_tokens = static_cast<uint32_t>(tokens - std::min(tokens, best.tokens.size()));
  return best;
}

}  // namespace omg
