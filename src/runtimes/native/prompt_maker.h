// SPDX-License-Identifier: Apache-2.0
//
// From what is asked to the tokens that the model begins from: the template, the tokenizer, what
// stood before, and what is cut when it does not fit.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/metadata.h"
#include "runtimes/answer.h"
#include "text/template/capabilities.h"
#include "text/template/chat_template.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {

/// Tokens round the parts of a text with a hole: prefix A suffix B middle, where B is what follows
/// the hole, and the answer is what belongs in it.
struct FillInTokens {
  TokenId prefix = 0;
  TokenId suffix = 0;
  TokenId middle = 0;
};

/// From the metadata's ids, or the names that such tokens have; nothing where one is missing.
std::optional<FillInTokens> find_fill_in_tokens(const Metadata& metadata,
                                                const Tokenizer& tokenizer);

/// How a model makes its prompts. Pointers are null where the model has no template.
struct PromptMakerParts {
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat_template = nullptr;
  const TemplateCapabilities* capabilities = nullptr;
  std::optional<Error> template_error;  // why there is none
  std::string default_template;         // whose it is, when it is not the file's
  std::optional<FillInTokens> fill_in;
};

struct MadePrompt {
  std::vector<TokenId> tokens;
  std::string chat;  // a conversation as rendered
  std::vector<std::string> warnings;
  uint32_t cut_messages = 0;
  uint32_t cut_tokens = 0;
};

/// Thread-safe; what the parts point to must outlive it.
class PromptMaker {
 public:
  explicit PromptMaker(PromptMakerParts parts) : parts_(std::move(parts)) {}

  /// Error(kUnsupported) when there is no template, or one that cannot express the conversation.
  RenderedChat render(const ChatPrompt& prompt) const;
  /// At most `context` tokens. Error(kContextLengthExceeded) with both numbers for a prompt that
  /// has more and may not be cut, or cannot be.
  MadePrompt make(const AnswerRequest& request, uint32_t context) const;
  bool can_fill_in() const { return parts_.fill_in.has_value(); }

 private:
  std::string special_text(std::optional<TokenId> token) const;
  std::vector<TokenId> encode(std::string_view text, bool parse_special, bool begins) const;
  MadePrompt make_chat(const AnswerRequest& request, const ChatPrompt& prompt,
                       uint32_t context) const;
  MadePrompt try_chat(const AnswerRequest& request, const ChatPrompt& prompt) const;
  MadePrompt make_text(const AnswerRequest& request, const TextPrompt& prompt,
                       uint32_t context) const;
  MadePrompt make_fill_in(const AnswerRequest& request, const TextPrompt& prompt,
                          uint32_t context) const;
  void cut_oldest(const AnswerRequest& request, uint32_t context, MadePrompt& made) const;
  void check_tokens(std::span<const int32_t> tokens, const char* what) const;

  const PromptMakerParts parts_;
};

}  // namespace omg
