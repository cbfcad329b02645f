// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/answer.h"

#include <fmt/format.h>
#include <limits>

#include "base/error.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/statistics.h"
#include "clients/cli/word_wrap.h"

namespace omg::cli {

Answer show_answer(const std::function<AnswerStatistics(const TextSink&)>& request,
                   const AnswerSettings& settings, Terminal& terminal) {
  const bool on_screen = terminal.out_is_tty();
  WordWrapper wrapper(settings.wrap_words ? terminal.width() : std::numeric_limits<int>::max());
  Answer answer;
  const auto show = [&](std::string_view text) {
    terminal.status("");
    terminal.out(on_screen ? wrapper.push(text) : std::string(text));
  };
  if (on_screen) terminal.status("…");
  AnswerStatistics statistics;
  try {
    statistics = request([&](std::string_view piece) {
      answer.text += piece;
      if (settings.stream) show(piece);
    });
  } catch (...) {
    terminal.status("");
    if (on_screen && wrapper.column() > 0) terminal.out("\n");
    throw;
  }
  terminal.status("");
  if (!settings.stream) show(answer.text);
  if (on_screen && wrapper.column() > 0) terminal.out("\n");
  answer.cancelled = statistics.finish_reason == "cancelled";
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
          [&](const TextSink& sink) {
            return client.chat({conversation.all_messages(), settings.template_variables,
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
