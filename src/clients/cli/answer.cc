// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/answer.h"

#include <fmt/format.h>
#include <limits>

#include "base/error.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/statistics.h"
#include "clients/cli/word_wrap.h"

namespace omg::cli {

namespace {

/// One answer on the screen, or in a pipe.
class AnswerView {
 public:
  AnswerView(const AnswerSettings& settings, Terminal& terminal)
      : settings_(settings),
        terminal_(terminal),
        on_screen_(terminal.out_is_tty()),
        wrapper_(settings.wrap_words ? terminal.width() : std::numeric_limits<int>::max()) {}

  void show(AnswerPart part, std::string_view text) {
    if (text.empty()) return;
    if (part == AnswerPart::kReasoning) {
      // In a pipe stands the answer alone.
      if (!on_screen_ || settings_.hide_thinking) return;
      if (!thinking_) write(terminal_.styled(Style::kDim, "Thinking…") + "\n");
      thinking_ = true;
      write(terminal_.styled(Style::kDim, wrapper_.push(text)));
      return;
    }
    end_thinking();
    write(on_screen_ ? wrapper_.push(text) : std::string(text));
  }

  void end() {
    terminal_.status("");
    end_thinking();
    if (on_screen_ && wrapper_.column() > 0) terminal_.out("\n");
  }

 private:
  void write(const std::string& text) {
    terminal_.status("");
    terminal_.out(text);
  }

  void end_thinking() {
    if (!thinking_) return;
    thinking_ = false;
    write(wrapper_.push("\n") + terminal_.styled(Style::kDim, "…done thinking.") + "\n\n");
  }

  const AnswerSettings& settings_;
  Terminal& terminal_;
  const bool on_screen_;
  WordWrapper wrapper_;
  bool thinking_ = false;
};

}  // namespace

Answer show_answer(const std::function<AnswerStatistics(const AnswerSink&)>& request,
                   const AnswerSettings& settings, Terminal& terminal) {
  AnswerView view(settings, terminal);
  Answer answer;
  if (terminal.out_is_tty()) terminal.status("…");
  AnswerStatistics statistics;
  try {
    statistics = request([&](AnswerPart part, std::string_view piece) {
      (part == AnswerPart::kReasoning ? answer.reasoning : answer.text) += piece;
      if (settings.stream) view.show(part, piece);
    });
  } catch (...) {
    view.end();
    throw;
  }
  if (!settings.stream) {
    view.show(AnswerPart::kReasoning, answer.reasoning);
    view.show(AnswerPart::kContent, answer.text);
  }
  view.end();
  answer.cancelled = statistics.finish_reason == "cancelled";
  for (const std::string& warning : statistics.warnings) terminal.note("(" + warning + ")");
  if (settings.verbose) {
    if (!answer.text.empty()) terminal.err("\n");
    terminal.err(format_statistics(statistics));
  }
  return answer;
}

Answer answer_conversation(ModelClient& client, Conversation& conversation,
                           const AnswerSettings& settings, Terminal& terminal) {
  CancellationToken cancellation;
  const InterruptGuard guard(cancellation, /*second_kills=*/false);
  for (size_t dropped = 0;; ++dropped) {
    try {
      const Answer answer = show_answer(
          [&](const AnswerSink& sink) {
            return client.chat({conversation.all_messages(), settings.thinking,
                                conversation.parameters, cancellation},
                               sink);
          },
          settings, terminal);
      if (dropped > 0) {
        terminal.note(
            fmt::format("(the {} oldest turn{} no longer fit the context of {} tokens "
                        "and {} left out)",
                        dropped, dropped == 1 ? "" : "s", client.context_length(),
                        dropped == 1 ? "was" : "were"));
      }
      return answer;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kContextLengthExceeded || !settings.cut_oldest ||
          !conversation.drop_oldest_turn()) {
        throw;
      }
    }
  }
}

}  // namespace omg::cli
