// SPDX-License-Identifier: Apache-2.0
//
// Answers of a chat: chat.completion and chat.completion.chunk.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/openai/answer_shape.h"

namespace omg::openai {

class ChatShape final : public AnswerShape {
 public:
  /// `make_call_id`: ids for calls whose format has none.
  ChatShape(AnswerHead head, size_t choices, bool has_logprobs,
            std::function<std::string()> make_call_id);

  std::string take(size_t choice, AnswerPiece&& piece) override;
  std::string end(size_t choice, const AnswerResult& result) override;
  std::string finish() override;

 private:
  struct Choice {
    size_t index = 0;
    bool begun = false;  // its first chunk was sent
    /// Under way, not to be told before its end: it may turn out to be none.
    std::optional<ParsedCall> open_call;
    ParsedOutput output;  // a stream keeps the calls' number alone
    size_t calls = 0;
    std::string logprobs;  // of tokens that no chunk has told yet; without a stream of all
    /// Tokens whose text nobody has seen yet belong to what comes next.
    uint64_t unassigned_tokens = 0;
    Usage usage;
    std::string finish_reason;
  };

  void add(Choice& choice, OutputEvent&& event, std::string& out);
  void end_call(Choice& choice, std::string& out);
  /// Appends a chunk. `delta`: a JSON object.
  void add_chunk(Choice& choice, std::string_view delta, std::string& out,
                 std::string_view more = "");
  void add_delta(Choice& choice, const OutputEvent& event, std::string& out);
  std::string take_logprobs(Choice& choice) const;
  std::string choice_json(Choice& choice) const;

  AnswerHead head_;
  std::string prefix_;  // of each chunk
  bool has_logprobs_;
  std::function<std::string()> make_call_id_;
  std::vector<Choice> choices_;
};

}  // namespace omg::openai
