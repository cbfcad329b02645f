// SPDX-License-Identifier: Apache-2.0
//
// One answer, from the request to what stands on the screen; shared by run, generate and the REPL.
#pragma once

#include <functional>
#include <string>

#include "clients/cli/conversation.h"
#include "clients/cli/model_client.h"
#include "clients/cli/terminal.h"

namespace omg::cli {

struct AnswerSettings {
  std::string thinking;  // ChatCall::thinking
  bool stream = true;
  bool wrap_words = true;   // on a terminal
  bool verbose = false;     // statistics on standard error
  bool cut_oldest = false;  // drop the oldest turns when the context is full, and say so
  bool hide_thinking = false;
};

struct Answer {
  std::string text;
  std::string reasoning;
  bool cancelled = false;
};

/// Shows what `request` streams into the sink it is given, and the statistics it returns. Reasoning
/// is shown on a terminal alone, between two lines that say what it is.
Answer show_answer(const std::function<AnswerStatistics(const AnswerSink&)>& request,
                   const AnswerSettings& settings, Terminal& terminal);

/// Answers `conversation`, whose last message is the user's. Ctrl-C stops the answer. Adds nothing
/// to the conversation, but may drop its oldest turns.
Answer answer_conversation(ModelClient& client, Conversation& conversation,
                           const AnswerSettings& settings, Terminal& terminal);

}  // namespace omg::cli
