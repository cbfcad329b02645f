// SPDX-License-Identifier: Apache-2.0
//
// Internal to daemon/ollama: an answer of a model, as it comes, written as the lines of
// /api/generate or /api/chat, or as one object at its end.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "daemon/requests/outgoing_stream.h"
#include "runtimes/answer.h"

namespace omg::ollama {

/// How an answer is to be written.
struct AnswerShape {
  bool is_chat = false;
  bool is_parsed = true;  // pieces have events, which say more than their text
  bool streams = true;
  bool wants_context = false;  // the tokens, at the end
  std::string model;           // as the client named it
  std::vector<std::string> warnings;
  std::chrono::steady_clock::time_point began;
  std::function<std::chrono::system_clock::time_point()> clock;
};

/// One answer. Calls come one at a time, as AnswerSink says.
class AnswerWriter {
 public:
  AnswerWriter(std::shared_ptr<OutgoingStream> out, AnswerShape shape);

  void take(AnswerPiece&& piece);
  void end(const Error* error, const AnswerResult& result);
  /// Nothing was generated: "load" or "unload" is why.
  void end_without_answer(std::string_view done_reason);
  /// What the model would have been given, instead of an answer.
  void end_with_prompt(std::string_view rendered);
  void fail(int status, std::string_view text);

  /// A sink that keeps `writer` until the answer has ended.
  static AnswerSink sink(const std::shared_ptr<AnswerWriter>& writer);

 private:
  struct Call {
    std::string id;
    std::string name;
    std::string arguments;
    bool ended = false;
  };
  /// What a line says, besides the model and the time.
  struct Line {
    std::string content;
    std::string thinking;
    std::string tool_calls;  // JSON
    std::string logprobs;    // JSON, without the brackets
    bool done = false;
    std::string done_reason;
    std::string context;  // JSON
    std::string debug;    // JSON
    const AnswerResult* result = nullptr;
    std::chrono::nanoseconds total{};
    std::chrono::nanoseconds load{};
  };

  void take_event(OutputEvent&& event, Line& line);
  std::string calls_json();
  std::string write(const Line& line) const;
  void add_cut_warnings(const AnswerResult& result);

  std::shared_ptr<OutgoingStream> out_;
  AnswerShape shape_;
  std::chrono::nanoseconds before_asking_;
  Line collected_;                // where the answer does not stream
  std::map<size_t, Call> calls_;  // by their number in the answer
};

}  // namespace omg::ollama
